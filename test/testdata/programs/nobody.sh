# What belongs to nobody in the user namespace is not the overflow user's.
f=$(mktemp /tmp/subuidless-nobody-XXXXXX)
chmod 644 "$f"
nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@" 2>&1 | sed "s#$f#FILE#g"; }
nobody rm -f "$f"
nobody mv "$f" "$f.moved"
nobody chown 65534 /dev/null
nobody chmod 600 /dev/null
nobody touch -d @0 /dev/null
nobody chgrp 65534 /usr
nobody touch /usr/none
nobody setfacl -m u:1:r /usr
rm "$f"
