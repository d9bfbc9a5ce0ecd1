# Runs as root in Debian: installs /tmp/subuidless.deb, uses it, upgrades and removes it.
exec 2>&1
chmod 1777 /tmp
mkdir -p /etc/apparmor.d/abi
echo >/etc/apparmor.d/abi/4.0 # as on Ubuntu 24.04
useradd -m -u 12345 user
rm -f /etc/subuid /etc/subgid
list() { find / -xdev \( -path /proc -o -path /dev -o -path /tmp -o -path /home -o -path /var/lib/dpkg -o -path /var/log -o -path /var/cache \) -prune -o -print | sort; }
list >/tmp/before
dpkg -i /tmp/subuidless.deb
test -e /etc/apparmor.d/subuidless
user() { setpriv --reuid 12345 --regid 12345 --clear-groups env HOME=/home/user sh -euc "cd; $1"; }
user 'touch foo; subuidless exec chown 42:42 foo; test "$(subuidless exec stat -c %u:%g foo)" = 42:42'
user 'fakeroot-subuidless sh -c "mknod sda b 8 1; chown 7 sda; stat -c %F:%u sda" | grep -x "block special file:7"'
user 'subuidless images; subuidless doctor >doctor.txt || cat doctor.txt'
dpkg -i /tmp/subuidless.deb
user 'test "$(subuidless exec stat -c %u:%g foo)" = 42:42'
dpkg --purge subuidless
list >/tmp/after
cmp /tmp/before /tmp/after || { diff /tmp/before /tmp/after; exit 1; }
test -e /home/user/foo
echo nothing is left
