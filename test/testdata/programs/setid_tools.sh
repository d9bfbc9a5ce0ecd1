# Which tools keep the set-id bits of a file when root, and when its owner writes to it.
umask 022
chmod 777 .
try() {
	for id in 0 1000; do
		rm -f file
		echo content >file
		chown $id:$id file
		chmod 6755 file
		setpriv --reuid $id --regid $id --clear-groups sh -c "$1" 2>&1
		echo "$1, by $id: $(stat -c '%A %u:%g %s' file)"
	done
}
try 'echo x >>file'
try 'echo x >file'
try ': >file'
try 'exec 3<>file; echo x >&3; stat -c %A file'
try 'echo x | tee -a file'
try 'truncate -s 3 file'
try 'truncate -s 30 file'
try 'truncate -s 8 file'
try 'fallocate -l 100 file'
try 'fallocate -n -l 100 file'
try 'fallocate -p -l 1 file'
try 'dd if=/dev/zero of=file bs=1 count=1 status=none'
try 'dd if=/dev/zero of=file bs=1 count=1 seek=3 conv=notrunc status=none'
try 'cp /bin/true file; truncate -s 1 file'
try 'touch file'
try 'chmod u+w file'
try 'chown $(id -u) file'
try 'ln file other; rm other; mv file other; mv other file'
try 'head -c 1 file >&2'
# A writer that holds the file open, while others look and write.
echo content >file
chmod 6755 file
exec 3>>file
echo x >&3
stat -c %A file
setpriv --reuid 1000 --clear-groups stat -c %A file
echo x >&3
stat -c %A file
chmod 2755 file
stat -c %A file
exec 3>&-
stat -c %A file
