cd /tmp/t
for dir in tree cp rsync tar; do
	echo $dir
	set -- $(find $dir | sort)
	stat -c '%n %A %u:%g %t:%T %h' "$@"
	getcap "$@"
	getfacl -P -n -s "$@"
done
mkdir later
tar --acls --xattrs --xattrs-include='*' -C later -xpf tree.tar
rsync -aHAXn --delete -i later/tree/ tree/
