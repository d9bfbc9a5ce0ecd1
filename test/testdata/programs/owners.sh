# Owners stay with files of every type, whatever moves or copies them.
# Needs: cpio python3 rsync
umask 022
look() { (cd "$1" && find . -printf '%p %y %U:%G %m %l\n' | sort; find . \( -type c -o -type b \) -exec stat -c '%n %t:%T' {} + | sort); }
mkdir tree tree/dir tree/elsewhere
cd tree
echo x >file
ln -s target link
mkfifo fifo
mknod -m 666 null c 1 3
mknod -m 620 tty c 5 0
mknod -m 660 sda b 8 1
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
chown -h 4294967294:42 link
chown 43:44 fifo
chown 0:45 null
chown 46:5 tty
chown 47 sda
chown 48:49 socket
chown 33:33 file
chown 1:65534 dir
cd ..
look tree

echo "names"
ln tree/fifo tree/hard
ln tree/link tree/dir/hard
mv tree/sda tree/elsewhere
mv tree/link tree/dir/renamed
mv tree moved
look moved

echo "copies"
cp -a moved cp
look cp >copied
look moved | diff - copied
mkdir rsync cpio tar
rsync -aH moved/ rsync
look rsync | diff copied -
(cd moved && find . | sort | cpio -pd --quiet ../cpio 2>&1)
look cpio | diff copied -
rm moved/socket # tar does not know sockets
tar -cf tar.tar moved
tar -xpf tar.tar -C tar
look moved >copied
look tar/moved | diff copied -

echo "overlay"
mkdir upper work merged
overlay() { mount -t overlay -o userxattr,lowerdir=moved,upperdir=upper,workdir=work none merged; }
overlay
look merged | diff copied -
chmod 600 merged/fifo
chown -h :9 merged/dir/renamed
chown 7 merged/tty
umount merged
overlay
look merged
umount merged
