# sysfs can be mounted in the host's network namespace and in a new one, with flags, at most
# places, and by root only; and unmounted if it is not in use.
mkdir sys
unshare -m sh -c '
mount -t sysfs -o ro,nosuid source sys && stat -fc %T sys && test -d sys/class/net/lo && echo lo
touch sys/x 2>&1
grep -c " / $PWD/sys ro,nosuid.* - sysfs " /proc/self/mountinfo
grep -c " $PWD/sys" /proc/self/mountinfo
mount -t sysfs none sys 2>/dev/null || echo mounted already
(cd sys/class && umount ../../sys 2>/dev/null) || echo in use
umount sys
ls -A sys
mount -t sysfs none sys && umount -R sys
mount -t sysfs none sys && mount -t tmpfs none sys/fs/cgroup && { umount sys 2>/dev/null || echo in use, too; }
umount -R sys
ls -A sys
mount -t sysfs none sys/nothing 2>/dev/null || echo nothing
mount -t sysfs none /etc/passwd 2>/dev/null || echo file
mount -t sysfs -o unknown none sys 2>/dev/null || echo unknown option
setpriv --reuid 33 --regid 33 --clear-groups mount -i -t sysfs none sys 2>/dev/null || echo refused
cd sys && mount -t sysfs none . && cd .. && test -d sys/class && echo relative
'
unshare -m -n sh -c 'mount -t sysfs none sys && ls sys/class/net && umount sys'
ls -A sys
