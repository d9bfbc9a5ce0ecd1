. /test/functions
look /var/lib/apt/lists /var/lib/apt/lists/* /var/cache/apt/archives/partial /var/cache/apt/archives/*.deb /tmp/down/*
dpkg --audit
DEBIAN_FRONTEND=noninteractive dpkg -i /var/cache/apt/archives/*.deb 2>&1 | grep '^Setting' | sed 's/ (.*//'
look /usr/bin/dotlockfile
getent passwd uuidd | cut -d : -f 1,6
