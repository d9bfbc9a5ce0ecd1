# The usual tools and devices.
# Needs: rsync
umask 022
look() {
	for f; do
		stat -c '%n %A %u:%g %t:%T %F %s' "$f"
	done
}

mkdir dev
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 620 dev/tty c 5 0
mknod -m 660 dev/sda b 8 0
mknod dev/nvme b 259 66000
chown 0:6 dev/sda dev/nvme
chown 4294967294:5 dev/tty
mknod dev/pipe p
mknod dev/whiteout c 0 0
look dev/*
ls -l dev | awk '{ print $1, $3, $4, $5, $6, $NF }' | sed -n '2,$p' | grep -v pipe

echo "twice"
mknod dev/null c 1 3 2>/dev/null || echo "refused"

echo "find, test"
find dev -gid 6 | sort
find dev -type c | sort # by the types in directory entries
find dev -type b | sort
find dev -type f -o -type s
test -c dev/null
test -b dev/sda
test ! -f dev/null
test ! -S dev/sda
test -w dev/zero
test ! -s dev/null

echo "used"
mknod -m 666 dev/full c 1 7
echo gone >dev/null
echo gone >>dev/null
cat dev/null
echo gone | tee dev/null
wc -c <>dev/null
head -c 3 <>dev/zero | od -An -tx1
dd if=dev/null of=dev/zero status=none
dd if=/dev/zero of=dev/full bs=1 count=1 2>/dev/null || echo "no space"
head -c 3 <>dev/full | od -An -tx1
{ cat <>dev/nvme; } 2>/dev/null || echo "no such device"
look dev/null dev/zero dev/full
rm dev/full

echo "cp"
cp -a dev copy
look copy/*
mkdir copied
cp -R dev/sda dev/null copied
look copied/*

echo "mv, ln, rm, install"
mv dev/zero dev/moved
ln dev/moved dev/hard
look dev/moved dev/hard
rm dev/moved
look dev/hard
chmod u+s,g-r dev/hard
look dev/hard
install -d -m 2755 -g 7 sgid
mknod sgid/null c 1 3
look sgid/null

echo "tar"
tar --numeric-owner -cf dev.tar -C copy .
tar --numeric-owner -tvf dev.tar | awk '{ print $1, $2, $3, $NF }' | sort
mkdir out
tar --numeric-owner -C out -xpf dev.tar
look out/*

echo "rsync"
rsync -aH --numeric-ids copy/ synced
look synced/*
rsync -aHi --numeric-ids copy/ synced

echo "replaced"
rm out/null
touch out/null
look out/null
mknod -m 600 out/again c 1 5
mv out/again out/null
look out/null

echo "types in the directory"
mkdir types
mknod types/block b 1 2
mknod types/char c 10 10
mkfifo types/pipe
touch types/file
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("types/socket")'
ls -F types
for type in b c d f p s; do
	find types -type $type | sort
done
i=0
while [ $i -lt 600 ]; do # more than one call of getdents64 returns
	mknod types/$(printf %0200d $i) c 10 $i
	i=$((i + 1))
done
find types -type c | wc -l
