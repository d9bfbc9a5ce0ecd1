# The checks of file systems in a guest, as root. Prints "CELL owners on NAME|HOW LONG" for each,
# "ok NAME", or "FAIL NAME: CHECK: RESULT". A file system that the kernel does not have is left out.
fs=/fs
mkdir $fs /srv

# as runs a shell command as the user, in the directory of the file system that is tested.
as() { (cd $fs/user && timeout 300 su user -s /bin/sh -c "$1" 2>&1); }
# inside is as in a container, without warnings. The command has no apostrophes. Its lines are joined.
inside() { as "subuidless exec -- sh -c '$1'" | grep -v level=WARN | tr '\n' ' '; }

fail() {
	echo "FAIL $row: $1"
	failed=1
}
expect() { [ "${3% }" = "$2" ] || fail "$1: $3"; }

# unmount waits for containers that have just ended.
unmount() {
	tries=0
	until umount $fs 2>/dev/null; do
		tries=$((tries + 1))
		[ $tries -lt 50 ] || { fail 'it cannot be unmounted'; umount -l $fs; return; }
		sleep 0.2
	done
}

# owners prints the owners of files of all types.
owners() { inside "stat -c %u:%g $files"; }

# begin ROW COMMAND... mounts a file system, and makes a directory of the user. The status is 1 if
# the kernel does not have the file system.
begin() {
	row=$1 failed=
	shift
	if ! "$@" $fs 2>/tmp/mount.err; then
		grep -q -e 'No such device' -e 'unknown filesystem' /tmp/mount.err || fail "mount: $(cat /tmp/mount.err)"
		return 1
	fi
	rm -rf $fs/user
	mkdir $fs/user
	chown 12345:12345 $fs/user
}

# try NAME COMMAND... tests the file system that the command mounts.
try() {
	name=$1
	shift
	begin "owners on $name" "$@" || return
	files='f d l p s z b' owned='1:2 1:2 1:2 1:2 1:2 1:2 1:2'
	case $name in
	vfat | exFAT)
		files='f d' owned='1:2 1:2'
		inside 'touch f; mkdir d'
		;;
	*)
		inside 'touch f; mkdir d; ln -s x l; mkfifo p; mknod s c 1 3; mknod z c 1 5; mknod b b 8 1'
		expect devices '1:3 1:5 8:1' "$(inside 'stat -c %t:%T s z b')"
		expect identities "33 33:33 cat: can't open 'key': Permission denied" \
			"$(inside 'chmod 777 .; su -s /bin/sh www -c "touch w; id -u"; stat -c %u:%g w; echo s >key; chmod 600 key; su -s /bin/sh www -c "cat key"; chmod 755 .')"
		;;
	esac
	expect chown "$owned" "$(inside "chown -h 1:2 $files; stat -c %u:%g $files")"
	expect 'the next run' "$owned" "$(owners)"
	expect tar '1:1 2:2 3:3 4:4 5:5 6:6 7:7 8:8 9:9' "$(inside 'mkdir t; cd t; for i in 1 2 3 4 5 6 7 8 9; do touch $i; chown $i:$i $i; done
		tar -cf ../t.tar .; mkdir ../u; cd ../u; tar -xpf ../t.tar; stat -c %n:%u *')"
	expect 'a number used again' 0 "$(inside 'for i in 1 2 3 4; do touch r$i; chown 7:8 r$i; done; rm r?; touch m1 m2 m3 m4; stat -c %u:%g m? | grep -c 7:8')"
	lasting "$@"
	unmount
	[ -n "$failed" ] || echo "CELL $row|$until"
}

# lasting checks what doctor says about how long owners last, and that they go to no other file.
lasting() {
	doctor=$(as 'subuidless doctor .')
	case $doctor in
	*'lost when this file system is unmounted'*) until='until unmounted' ;;
	*'lost at the next reboot'*) until='until the next reboot' ;;
	*'lost when the container ends'*) until='until the container ends' ;;
	*) until=kept ;;
	esac
	case $until,$doctor in
	kept,*) ;;
	*'owners of files and directories stay'*) until="special files $until" ;;
	esac
	unmount
	echo 3 >/proc/sys/vm/drop_caches
	"$@" $fs
	again=$(owners)
	case $until,$(echo "$again" | tr ' ' '\n' | sort -u | tr '\n' ' ') in
	*', 1:2 ' | *,'1:2 ' | *'until unmounted, 0:0 '*) ;;
	*) fail "mounted again, $until: $again" ;;
	esac
	# Others remove files while no container runs.
	warning=$(as 'subuidless exec -- sh -c "for i in 1 2 3 4 5 6 7 8; do touch o\$i; chown 7:9 o\$i; done"')
	as 'rm o?; for i in 1 2 3 4 5 6 7 8; do touch n$i; done'
	got=$(inside 'stat -c %u:%g n? | grep -c 7:9')
	case $got,$warning in
	'0 ',*) ;;
	*'does not identify files for long'*) until="$until; a new file may get them, as a warning says" ;;
	*) fail "$got files with numbers that others use again have owners" ;;
	esac
}

try ext4 mount -t ext4 /dev/vdb
begin 'owners on a disk with another device number' mount -t ext4 /dev/vdb && {
	files='f d l p s z b' owned='1:2 1:2 1:2 1:2 1:2 1:2 1:2'
	expect chown "$owned" "$(inside 'touch f; mkdir d; ln -s x l; mkfifo p; mknod s c 1 3; mknod z c 1 5; mknod b b 8 1; chown -h 1:2 f d l p s z b; stat -c %u:%g f d l p s z b')"
	unmount
	mount -t ext4 -o loop /dev/vdb $fs
	expect 'mounted again' "$owned" "$(owners)"
	unmount
	[ -n "$failed" ] || echo "CELL $row|kept"
}
try xfs mount -t xfs /dev/vdc
try btrfs mount -t btrfs /dev/vdd
try vfat mount -t vfat -o uid=12345,gid=12345 /dev/vde
try exFAT mount -t exfat -o uid=12345,gid=12345 /dev/vdf
try ntfs3 mount -t ntfs3 /dev/vdg
try f2fs mount -t f2fs /dev/vdh
try ext2 mount -t ext2 /dev/vdi

# full tests what happens at the limit of a disk quota, on the file system NAME that the command
# mounts: a record that needs space fails with EDQUOT, and the old ones stay. On ext4 with small
# inodes each attribute needs a block; on xfs there is room in the inode.
full() {
	name=$1 expected=$2 device=$3
	shift 3
	begin "a disk quota on $name" "$@" "$device" || return
	inside 'touch kept new; chown 1:2 kept' >/dev/null
	setquota "$device" 12345 "$(du -sk $fs/user | cut -f 1)" 1 || fail setquota
	result=$(inside 'chown 5:5 new; stat -c %u:%g new kept; touch another')
	setquota "$device" 12345 0 0 || fail setquota
	expect full "$expected" "$result"
	expect 'with space again' '5:5 1:2' "$(inside 'chown 5:5 new; stat -c %u:%g new kept')"
	unmount
	[ -n "$failed" ] || echo "ok $row"
}
full ext4 'chown: new: Disk quota exceeded 0:0 1:2 touch: another: Disk quota exceeded' /dev/vdj mount -t ext4 -o usrquota
full xfs '5:5 1:2 touch: another: Disk quota exceeded' /dev/vdc mount -t xfs -o usrquota

try virtiofs mount -t virtiofs virtiofs
try 9p mount -t 9p -o trans=virtio,version=9p2000.L share

# serve starts the kernel's NFS server, which has forgotten all exports when it stops. It writes what
# exportfs would: all clients are "guest"; /srv has the number 0, and the options
# rw,no_root_squash,async,insecure,no_subtree_check.
serve() {
	echo 'nfsd 127.0.0.1 2147483647 guest' >/proc/net/rpc/auth.unix.ip/channel
	echo 'guest /srv 2147483647 9234 65534 65534 0' >/proc/net/rpc/nfsd.export/channel
	echo 'guest 1 \x00000000 2147483647 /srv' >/proc/net/rpc/nfsd.fh/channel
	echo 10 >/proc/fs/nfsd/nfsv4gracetime # seconds, the least
	echo '+3 +4 +4.1 +4.2' >/proc/fs/nfsd/versions
	echo 'tcp 2049' >/proc/fs/nfsd/portlist
	echo 2 >/proc/fs/nfsd/threads
}

nfs3='mount -i -t nfs -o vers=3,nolock,addr=127.0.0.1,proto=tcp,port=2049,mountport=111,mountproto=tcp'
if mount -t nfsd nfsd /proc/fs/nfsd 2>/dev/null; then
	mount -t ext4 /dev/vdb /srv
	nfsrpc &
	until nc 127.0.0.1 111 </dev/null 2>/dev/null; do sleep 0.1; done
	serve

	try 'NFS 3' $nfs3 127.0.0.1:/srv
	for version in 4.0 4.1 4.2; do
		try "NFS $version" mount -i -t nfs4 -o "vers=$version,addr=127.0.0.1,clientaddr=127.0.0.1,proto=tcp,port=2049" 127.0.0.1:/
	done

	# The server removes a file that a container has open.
	begin 'a file that the NFS server has removed' $nfs3 127.0.0.1:/srv
	(
		until [ -e /tmp/opened ]; do sleep 0.1; done
		rm /srv/user/gone
		touch /tmp/gone
	) &
	expect chown "chown: /proc/self/fd/3: Stale file handle" \
		"$(inside 'touch gone; exec 3<gone; touch /tmp/opened; until [ -e /tmp/gone ]; do sleep 0.1; done; chown 5:5 /proc/self/fd/3')"
	unmount
	[ -n "$failed" ] || echo "ok $row"

	# The server stops while a container runs, and comes back.
	begin 'an NFS server that does not answer' $nfs3,soft,timeo=5,retrans=1 127.0.0.1:/srv
	(
		until [ -e /tmp/running ]; do sleep 0.1; done
		echo 0 >/proc/fs/nfsd/threads
		touch /tmp/stopped
		until [ -e /tmp/failed ]; do sleep 0.1; done
		serve
		touch /tmp/back
	) &
	expect chown 'chown: f: Input/output error 0:0 6:6' \
		"$(inside 'touch f; touch /tmp/running; until [ -e /tmp/stopped ]; do sleep 0.1; done; chown 5:5 f; touch /tmp/failed
			until [ -e /tmp/back ]; do sleep 0.1; done; until stat f >/dev/null 2>&1; do sleep 0.1; done; stat -c %u:%g f; chown 6:6 f; stat -c %u:%g f')"
	unmount
	[ -n "$failed" ] || echo "ok $row"

	# Another machine is a container with another name, boot and mount.
	begin 'a home that machines share' $nfs3 127.0.0.1:/srv
	cat /proc/sys/kernel/random/uuid >/tmp/boot
	other="hostname other; mount --bind /tmp/boot /proc/sys/kernel/random/boot_id; umount $fs; $nfs3,nosharecache 127.0.0.1:/srv $fs; cd $fs/user"
	export SUBUIDLESS_SIDECAR=$fs/user/sidecar
	expect here '5:6 9:9' "$(
		inside 'touch f; chown 5:6 f; stat -c %u:%g f; touch /tmp/here; until [ -e /tmp/there ]; do sleep 0.1; done; chown 9:9 f; stat -c %u:%g f' &
		until [ -e /tmp/here ]; do sleep 0.1; done
		unshare -m -u sh -c "$other; su user -s /bin/sh -c \"subuidless exec -- sh -c 'stat -c %u:%g f; chown 7:7 f; stat -c %u:%g f'\"" >/tmp/other 2>&1
		touch /tmp/there
		wait
	)"
	expect there '5:6 7:7' "$(grep -v level=WARN /tmp/other | tr '\n' ' ')"
	expect 'directories of boots' 2 "$(ls -d $fs/user/sidecar/boot-* | grep -c .)"
	unset SUBUIDLESS_SIDECAR
	unmount
	[ -n "$failed" ] || echo "ok $row"
fi
