# Copies of a tree with all types of files and attributes.
mkdir /tmp/t
cd /tmp/t
mkdir tree tree/dir tree/dir/sub
echo plain >tree/plain
ln tree/plain tree/dir/hard
ln -s plain tree/link
mknod tree/null c 1 3
mknod tree/loop b 7 0
mkfifo -m 620 tree/fifo
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("tree/socket")'
for file in setuid setgid both; do cp /bin/true tree/$file; done
cp /bin/true tree/capable
echo acl >tree/acl
chown 1:2 tree/plain
chown -h 3:4 tree/link
chown 5:6 tree/null
chmod 640 tree/null
chown 7:8 tree/loop
chown 9:10 tree/fifo
chown 11:12 tree/socket
chown 13:14 tree/setuid
chown 15:16 tree/setgid
chown 4294967294:65536 tree/both
chmod 4711 tree/setuid
chmod 2755 tree/setgid
chmod 6555 tree/both
setcap cap_net_raw,cap_net_admin=ep tree/capable
setfacl -m u:1000:rw,u:33:r,g:12345:rx,m:rwx tree/acl
chown 17:18 tree/acl tree/dir
setfacl -m d:u:1000:rwx,d:g:44:r tree/dir/sub
chmod 3777 tree/dir
setfattr -n user.comment -v hello tree/plain
touch tree/null # with a descriptor
touch -hd '2001-02-03 04:05:06.789' tree/plain tree/fifo tree/null
touch -h -d '2002-02-03 04:05:06' tree/link

# show DIR lists a tree.
show() {
	(
		cd "$1"
		set -- $(find . | sort)
		stat -c '%n %A %u:%g %t:%T %h' "$@"
		getcap "$@"
		getfacl -P -n -s "$@"
		getfattr -h -d -m '^user[.]comment$' "$@"
		stat -c '%n %y' plain link fifo null
	)
}
show tree >want
cat want
# same NAME reports whether the copy in the directory NAME is the same.
same() {
	echo "$1"
	show "$1" | diff want - || true
}
cp -a tree cp
same cp
rsync -aHAX tree/ rsync
same rsync
tar --acls --xattrs --xattrs-include='*' -cf tree.tar tree
mkdir tar
tar --acls --xattrs --xattrs-include='*' --strip-components=1 -C tar -xpf tree.tar
same tar
(cd tree && find . -depth -print0 | cpio -0 --quiet -pdm ../cpio)
echo "cpio, which knows no attributes"
(cd tree && find . | sort | xargs stat -c '%n %A %u:%g %t:%T') >simple
(cd cpio && find . | sort | xargs stat -c '%n %A %u:%g %t:%T') | diff simple - || true
(cd tree && find . -print0 | cpio -0 --quiet -H newc -o) >tree.cpio
mkdir newc
(cd newc && cpio --quiet -idm <../tree.cpio)
# newc cannot store 32-bit ids, so they are excluded here.
(cd newc && find . ! -name both | sort | xargs stat -c '%n %A %u:%g %t:%T') >got
grep -v both simple | diff - got || true

echo "changed in place"
mv cp/null cp/zero
ln cp/loop cp/loop2
chmod 600 cp/loop
chown 99:98 cp/loop2
mv cp/socket cp/socket2
setfacl -x u:33 cp/acl
setfacl -b rsync/acl
setcap -r cp/capable
(cd cp && stat -c '%n %A %u:%g %t:%T' zero loop loop2 socket2 capable && getfacl -n -c acl && getfacl -n -c ../rsync/acl)
