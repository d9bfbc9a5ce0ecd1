# The usual tools and owners.
look() { stat -c '%n %A %u:%g' "$@"; }

touch a
chown 1:2 a
ln a b
mv a c
look b c
rm b
cp -p c d
cp c e
look d e

mkdir -p dir/sub
ln -s sub dir/link
mkfifo dir/fifo
echo data >dir/file
chown -R 33:34 dir
chown -h 35:36 dir/link
look dir dir/*
cp -a dir copy
look copy copy/*
find dir -user 33 | sort
find dir -gid 36
chown --from=33:34 37 dir/file
chgrp 38 dir/fifo
look dir/file dir/fifo
chown --reference=dir/link c
look c

install -m 4755 -o 5 -g 6 c installed
look installed
tar -C dir -cf dir.tar .
mkdir out
tar -C out --same-owner -xpf dir.tar
look out out/*
tar --numeric-owner -tvf dir.tar | awk '{ print $1, $2, $6 }' | sort

chmod 0 c
look c
chown 9:9 c
look c
if [ -O c ]; then echo mine; else echo "not mine"; fi
