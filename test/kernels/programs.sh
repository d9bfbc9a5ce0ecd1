# The checks of a guest with programs of test/testdata/programs, as root: each must print in a
# container of the user what it prints as root. Prints "ok program NAME", or
# "FAIL program NAME: DIFFERENCES".
umask 022
# What differs on some kernels: on 6.1, which has no attributes user.* on tmpfs, creating a file on an
# overlay of tmpfs in a nested user namespace fails with EACCES; on 7.3, pivot_root of paths that do not
# exist fails with ENOENT also for callers without a capability, in a container with EPERM.
case $(uname -r) in
6.1.*) without=userns ;;
7.*) without=guard ;;
*) without= ;;
esac
mkdir /disk/root
for program in /programs/*; do
	name=${program##*/}
	if [ "$name" = "$without" ]; then continue; fi
	mkdir "/disk/root/$name" "/disk/user/$name"
	chown 12345:12345 "/disk/user/$name"
	(cd "/disk/root/$name" && timeout 300 unshare -p -f --mount-proc sh -c '"$0"; exit $?' "$program") >/tmp/want 2>&1 </dev/null ||
		echo "status $?" >>/tmp/want
	(cd "/disk/user/$name" && timeout 300 su user -s /bin/sh -c "unset XDG_RUNTIME_DIR; subuidless exec -- $program") 2>&1 </dev/null |
		grep -v level=WARN >/tmp/got
	if differences=$(diff -U 0 /tmp/want /tmp/got); then
		echo "ok program $name"
	else
		echo "FAIL program $name: $(for side in - +; do echo "$differences" | grep "^[$side][^-+]" | head -n 20; done | tr '\n' '|')"
	fi
done
