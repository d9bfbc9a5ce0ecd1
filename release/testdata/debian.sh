# Runs as root in Debian, in a directory with the package, the commands of README.md (install, use),
# docs/accounts.md (accounts) and docs/fakeroot.md (fakeroot), registries.conf, and the files of
# project: upgrades an older package, uses the new one as users without subordinate ids, and removes
# it.
exec 2>&1
mkdir -p /etc/apparmor.d/abi
echo >/etc/apparmor.d/abi/4.0 # as on Ubuntu 24.04
useradd -m -u 12345 user
rm -f /etc/subuid /etc/subgid
mkdir -m 700 /run/user-12345
list() { find / -xdev \( -path /proc -o -path /dev -o -path /tmp -o -path /home -o -path /run -o -path /var/lib/dpkg -o -path /var/log -o -path /var/cache \) -prune -o -print | sort; }
list >/tmp/before

# An older version, with a file that the new one does not have.
dpkg-deb -R subuidless-*.deb /tmp/old
sed -i 's/^Version: .*/Version: 0.0.0~0/' /tmp/old/DEBIAN/control
echo >/tmp/old/usr/share/subuidless/obsolete
dpkg-deb -Znone -b /tmp/old /tmp/old.deb
dpkg -i /tmp/old.deb
test -e /etc/apparmor.d/subuidless
test -e /usr/share/subuidless/obsolete
cp -r project /home/user/project
mkdir -p /home/user/.config/containers /home/user/.config/dpkg
cp registries.conf /home/user/.config/containers
echo no-check-builddeps >/home/user/.config/dpkg/buildpackage.conf # it needs no compiler
chown -R 12345:12345 /home/user /run/user-12345
user() { setpriv --reuid 12345 --regid 12345 --clear-groups env HOME=/home/user XDG_RUNTIME_DIR=/run/user-12345 PATH="/home/user/bin:$PATH" sh -euc "cd; $1" </dev/null; }
user 'subuidless exec sh -c "echo old >old; chown 42:42 old"'

sudo() { "$@"; }
. ./install
test ! -e /usr/share/subuidless/obsolete
for command in $(subuidless help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
	test -e "/tmp/old/usr/share/man/man1/subuidless-$command.1.gz" # dpkg leaves out man pages here
	man=$command
done
test "$man" = sidecar # the last one
bash -euc '. /usr/share/bash-completion/completions/subuidless; complete -p subuidless'
user 'test "$(subuidless exec stat -c %u:%g old)" = 42:42'
user 'fakeroot-subuidless sh -c "mknod sda b 8 1; chown 7 sda; stat -c %F:%u sda" | grep -x "block special file:7"'
user 'cd project; . /tmp/in/use'
mkdir /home/unknown # of an account that only the kernel knows
chown 54321:54321 /home/unknown
setpriv --reuid 54321 --regid 54321 --clear-groups env HOME=/home/unknown sh -euc 'cd; . /tmp/in/accounts' | tee /tmp/accounts
grep -q "^uid=0(root)" /tmp/accounts
grep -qx 42:42 /tmp/accounts

. ./fakeroot
readlink -f /usr/bin/fakeroot | grep -qx /usr/bin/subuidless
user '/usr/bin/fakeroot --version' | grep subuidless

dpkg --purge subuidless
test ! -e /etc/apparmor.d/subuidless
test -z "$(find /var/lib/dpkg/info -name 'subuidless*')"
list >/tmp/after
cmp /tmp/before /tmp/after || { diff /tmp/before /tmp/after; exit 1; }
test -e /home/user/old
echo nothing is left
