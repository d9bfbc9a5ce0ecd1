. /test/functions
numbers /opt/odd /opt/odd/* /opt/strange /opt/strange/*
getcap /opt/strange/capable
rpm -V --nodeps strange && echo verified
rpm -e --nodeps strange
dpkg -P odd 2>/dev/null | grep '^Purging' | sed 's/ (.*//'
ls /opt
