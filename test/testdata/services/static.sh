# Static programs, which make their system calls without a C library.
mkdir -m 1777 /tmp/static
cd /tmp/static
/test/rawids
/test/goids 1000:1001 sh -c 'id; umask; touch go-after'
touch file
setpriv --reuid 33 --regid 33 --clear-groups /test/rawids without file
cp /test/rawids capable
setcap cap_chown=ep capable
setpriv --reuid 33 --regid 33 --clear-groups ./capable with file
cp /test/rawids setuid
chown 44:45 setuid
chmod 6755 setuid
./setuid set-id file
setpriv --reuid 33 --regid 33 --clear-groups ./setuid set-id file
setpriv --reuid 33 --regid 33 --clear-groups --no-new-privs ./setuid no-new-privs file
setpriv --reuid 33 --regid 33 --clear-groups --no-new-privs ./capable kept-capabilities file
setpriv --reuid 33 --regid 33 --clear-groups setpriv --no-new-privs ./capable no-new-privs file
stat -c '%n %A %u:%g' *
