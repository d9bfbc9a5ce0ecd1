cd /tmp/static
stat -c '%n %A %u:%g' *
getcap *
setpriv --reuid 34 --regid 34 --clear-groups ./setuid set-id file
setpriv --reuid 34 --regid 34 --clear-groups ./capable with file
