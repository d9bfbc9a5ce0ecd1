# Capabilities of special files have no effect, but they stay until the owner changes.
# Needs: getfattr getfacl
umask 022
caps=0x0100000200200000000000000000000000000000
show() { getfattr -h -d -m '^(security.capability|trusted)' -e hex "$1" 2>&1; stat -c '%F %u:%g' "$1"; }
for make in 'mkfifo f' 'ln -s target f' 'mknod f c 5 1'; do
	$make
	setfattr -h -n security.capability -v $caps f
	show f
	setfattr -h -n trusted.a -v 1 f
	show f
	setfattr -h -x trusted.a f
	show f
	setfattr -h -x security.capability f
	show f
	setfattr -h -n security.capability -v $caps f
	show f
	chown -h 42:43 f
	show f
	rm f
done
mkfifo f
setfattr -n security.capability -v $caps f
setfacl -m u:1000:rw f
show f
getfacl -n f
setfacl -b f
show f
chown 0:0 f
show f
