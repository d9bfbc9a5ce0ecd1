# File capabilities on the file systems of a container.
# Needs: getfattr setcap
. "${0%/*}/functions"

questions() {
	cp /bin/true file
	try setcap cap_net_raw,cap_bpf+ep file
	try getcap file
	try setcap -v cap_net_raw,cap_bpf+ep file
	try getfattr -e hex -n security.capability file
	cp --preserve=all file copy
	try getcap copy
	tar --xattrs --xattrs-include='*' -cf archive.tar file
	mkdir out
	tar --xattrs --xattrs-include='*' -C out -xf archive.tar
	try getcap out/file
	mv file moved
	try getcap moved
	try chown 42 moved
	try getcap moved
	try setcap cap_chown=i moved
	try getcap moved
	try stat -c '%a %u:%g' moved
	try setcap -r moved
	try getcap moved
	try setcap -r moved
	mkdir dir
	try setcap cap_chown=p dir
	ln -s copy link
	try setcap cap_chown=p link
	try getcap link copy
	echo changed >>copy
	try getcap copy
	try setfattr -n security.capability -v 0x0000000200200000000000000000000000000000 moved
	try setfattr -n security.capability -v 0x00000002 moved
	try setfattr -n security.capability -v 0x010000010020000000000000 moved
	try setfattr -n security.capability -v 0x010000020020000000000000000000000000000000 moved
	try setfattr -n security.capability -v 0x010000030020000000000000000000000000000000000000 moved
	try getcap moved

	# Capabilities for the root of another namespace.
	cp /bin/true other
	try setcap -n 1000 cap_net_raw,cap_bpf+ep other
	try getcap other
	try getcap -n other
	try getfattr -m - -d -e hex other
	cp --preserve=all other copy
	try getcap -n copy
	try setcap -n 4294967294 cap_chown=i copy
	try getcap -n copy
	try setcap cap_chown=i copy
	try getcap -n copy
	try setfattr -n security.capability -v 0x0100000300200000000000000000000000000000e8030000 copy
	try getcap -n copy
	try ./copy
	echo changed >>copy
	try getcap -n copy
	try chown 42 other
	try getfattr -m - -d other
	try setcap -n 1000 cap_net_raw+ep other
	try setcap -r other
	try getcap -n other
	try getfattr -m - -d other
	try setpriv --reuid 33 --regid 33 --clear-groups setfattr -n security.capability -v 0x0100000300200000000000000000000000000000e8030000 moved
	try getcap moved
}

questions
# The container's own file systems.
try unshare -m sh -euc "
. '${0%/*}/functions'
$(sed -n '/^questions()/,/^}/p' "$0")
umask 022
mkdir tmpfs
mount -t tmpfs none tmpfs
cd tmpfs
questions
mkdir lower upper work merged
cp /bin/true lower/file
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work,userxattr none merged
cd merged
rm -f file
questions
"
