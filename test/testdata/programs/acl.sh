# ACLs with entries for users and groups that are not mapped, set by the usual tools.
# Needs: getfacl rsync
umask 022
. "${0%/*}/functions"

touch file
chmod 640 file
mkdir dir
try setfacl -m u:1000:rw,g:7:rx file
try getfacl -n file
try stat -c '%a %A %u:%g' file
ls -l file | cut -c1-11
try chmod 604 file
try getfacl -n file
try chmod g+w file
try chown 5:6 file
try getfacl -n file
try setfacl -m u:0:r file
try getfacl -n file

try setfacl -d -m u:1000:rwx,u:0:r dir
try getfacl -n dir
try setfacl -m u:0:r,u:44:x dir
try getfacl -n dir
try getfattr -m - file dir
try getfattr -e hex -n system.posix_acl_access file
try getfattr -e hex -n system.posix_acl_default dir

cp -a file copy
try getfacl -n copy
try stat -c '%a %u:%g' copy
cp -p dir/../file copy
try getfacl -n copy
cp -a dir dircopy
try getfacl -n dircopy
mv copy dircopy/moved
ln dircopy/moved linked
try getfacl -n linked
tar --acls -cf archive.tar file dir
mkdir out
tar --acls -C out -xpf archive.tar
try getfacl -nR out
mkdir synced
rsync -aA file dir synced/
try getfacl -nR synced
rsync -aAi file dir synced/
try getfacl -nR file dir >saved
setfacl -b file
setfacl -b dir
try getfacl -n file dir
try setfacl --restore=saved
try getfacl -n file dir

try setfacl -x u:1000 file
try getfacl -n file
try setfacl -x u:0,g:7 file
try getfacl -n file
try setfacl -b file
try getfacl -n file
try stat -c '%a %A' file
try setfacl -k dir
try getfacl -n dir
try setfacl -k dir
try setfacl -d -m u:9:r file
try setfacl -R -m u:12:rw out
try getfacl -nR out
try setfacl -m u:88:rwx file
try setfacl -m m::r file
try getfacl -n file
try setfacl -n -m u:89:rwx file
try getfacl -n file
try setfacl --set u::rw,g::r,o::- file
try getfacl -n file
ls -l file | cut -c1-11
try setfattr -x system.posix_acl_access file
try setfattr -n system.posix_acl_access -v 0x0200 file
try setfattr -n system.posix_acl_access -v 0x02000000 file
ln -s file link
try setfattr -h -n system.posix_acl_access -v 0x0200000001000600ffffffff020004000300000004000400ffffffff10000600ffffffff20000400ffffffff link
try setfattr -n system.posix_acl_access -v 0x0200000001000600ffffffff020004000300000004000400ffffffff10000600ffffffff20000400ffffffff link
try getfacl -n file

# New files inherit from their directory.
mkdir parent
try setfacl -m u:1000:rwx,d:u:1000:rwx,d:g:7:r,d:o:x parent
umask 077
touch parent/file
mkdir parent/dir parent/dir/dir
echo >parent/dir/dir/file
mkfifo -m 666 parent/fifo 2>/dev/null
ln -s file parent/link
ln file parent/linked
cp archive.tar parent/dir
try getfacl -nR parent/file parent/dir
try stat -c '%A %u:%g' parent/file parent/dir parent/fifo parent/link
mkdir -m 2770 parent/setgid
touch parent/setgid/file
try getfacl -n parent/setgid parent/setgid/file
chmod 755 .
setpriv --reuid 1000 --regid 1000 --clear-groups sh -c 'touch parent/theirs; mkdir parent/theirdir; chmod 640 parent/theirs; setfacl -m u:4:r parent/theirs'
try getfacl -n parent/theirs parent/theirdir
try setpriv --reuid 1001 --regid 1001 --clear-groups setfacl -m u:4:r parent/theirs
try setpriv --reuid 1001 --regid 1001 --clear-groups setfacl -b parent/theirs
try setpriv --reuid 1001 --regid 1001 --clear-groups setfacl -k parent/theirdir
umask 022

# Special files.
mkfifo fifo
mknod null c 1 3
mknod zero c 1 5
mknod sda b 8 0
for special in fifo null zero sda; do
	chmod 640 $special
	try setfacl -m u:1000:rw,g:7:r $special
	try getfacl -n $special
	try chown 5:6 $special
	try chmod 604 $special
	try getfacl -n $special
	ln $special linked-$special
	try setfacl -m u:0:r linked-$special
	try getfacl -n $special
	mv $special moved
	cp -a moved $special
	try getfacl -n $special
	try getfattr -m - $special
	try setfacl -x u:1000,g:7 $special
	try getfacl -n $special
	try setfacl -b moved
	try getfacl -n moved
	try setfacl -d -m u:1000:r $special
	try stat -c '%A %u:%g %t:%T' $special moved
	rm moved
done
try setfacl -h -m u:1000:r link
mkfifo parent/fifo2
mknod parent/null c 1 3
mknod parent/zero c 1 5
mknod parent/sda b 8 0
for special in fifo fifo2 null zero sda; do
	try getfacl -n parent/$special
	try stat -c '%A %u:%g %t:%T' parent/$special
done
chmod 600 fifo
for id in 1000 1001; do
	try setpriv --reuid $id --regid $id --clear-groups sh -c 'test -r fifo && echo read; test -w fifo && echo write; setfacl -m u:4:r fifo'
done
setfacl -m u:1000:rw fifo zero
for id in 1000 1001; do
	try setpriv --reuid $id --regid $id --clear-groups sh -c 'for f in fifo zero; do test -r $f && echo read; test -w $f && echo write; done; setfacl -m u:4:r fifo'
done
try setpriv --reuid 1000 --regid 1000 --clear-groups head -c 4 zero | od -An -tx1

# Many entries.
entries=u:1:r
for id in 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 4294967294; do entries="$entries,u:$id:rw,g:$id:x"; done
try setfacl -m "$entries" file
try getfacl -n file
try setfacl -m "$entries" fifo
try getfacl -n fifo
