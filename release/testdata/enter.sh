# Usage, as root in new mount and PID namespaces: enter.sh ROOTFS DIR
#
# Changes the root directory to ROOTFS, whose changes go to DIR, and executes debian.sh there. The
# files of DIR/in are in /tmp/in, and /home is DIR/home.
set -eu
mkdir "$2/upper" "$2/work" "$2/root" "$2/home"
mount --make-rprivate /
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" debian "$2/root"
cd "$2/root"
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o nosuid,nodev,noexec,ro sysfs sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
mount --rbind /dev dev
mkdir -p dev/net
mount -t tmpfs -o nosuid,mode=755 tmpfs dev/net
mknod -m 666 dev/net/tun c 10 200 # as udev makes it, with or without the host's module
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs run
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs tmp
mount --bind "$2/home" home
cp -r "$2/in" tmp/in
pivot_root . mnt
umount -l /mnt
cd /tmp/in
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
exec sh -eu debian.sh
