# Sandboxes of bubblewrap, by root and by other users. With --uid it creates two user namespaces.
# Needs: bwrap
. "${0%/*}/functions"

chmod 777 .
echo secret >secret
chmod 600 secret
echo mine >mine
chown 33:33 mine
chmod 600 mine
# box OPTION... -- COMMAND... runs a command in a sandbox in which only this directory is writable.
box() {
	bwrap --ro-bind / / --proc /proc --dev /dev --tmpfs /tmp --bind "$PWD" "$PWD" --chdir "$PWD" --unshare-all "$@" 2>&1 || echo "status $?"
}
show='id -u; id -g; cat /proc/self/uid_map; grep ^CapEff /proc/self/status; cat mine; cat secret; touch /tmp/x made;
stat -c "%u:%g %a" /tmp /tmp/x made mine secret; rm made; : >/dev/null; unshare -U id -u'
for options in "" "--uid 1000 --gid 1000" "--uid 0 --gid 0"; do
	echo "+ $options"
	as_user 33 sh -c 'bwrap --ro-bind / / --proc /proc --dev /dev --tmpfs /tmp --bind "$PWD" "$PWD" --chdir "$PWD" --unshare-all '"$options"' sh -c "$1" 2>&1' sh "$show"
done
echo "+ root"
box --uid 1000 --gid 1000 sh -c "$show"
try as_user 33 bwrap --unshare-user --uid 5 --ro-bind / / bwrap --unshare-user --uid 6 --ro-bind / / id -u
try as_user 33 bwrap --unshare-user --uid 5 --bind / / bwrap --unshare-user --uid 6 --bind / / id -u
