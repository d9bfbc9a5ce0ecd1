# Runs commands.sh as the user $1 in a cgroup of that user. The cgroups of version 2 are mounted on $2, and
# this uses $3 there; $4 is a directory of the user. It needs root, and a mount namespace of its own:
# on most machines, /sys/fs/cgroup is of version 2, as it is here then.
set -e
exec 2>&1
user=$1 group=/sys/fs/cgroup/$3 dir=$4
# in_cgroup NAME COMMAND... runs a command as the user. Nothing of root is in the cgroup: users may not
# give such a process other processors.
in_cgroup() {
	cgroup=$group/$1
	shift
	sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$cgroup" setpriv --reuid "$user" --regid "$user" --clear-groups \
		env HOME="$dir" XDG_RUNTIME_DIR="$dir/run" "$@"
}
mount --bind "$2" /sys/fs/cgroup
mkdir -p "$dir/run"
chown "$user:$user" "$dir" "$dir/run"
chmod 700 "$dir/run"
for controller in $(cat "$group/cgroup.controllers"); do
	echo "+$controller" >"$group/cgroup.subtree_control"
done
mkdir "$group/own" "$group/systemd" "$group/login"
for cgroup in "$group/own" "$group/systemd"; do
	for file in . cgroup.procs cgroup.subtree_control; do chown "$user" "$cgroup/$file"; done
done
chown "$user" "$group/cgroup.procs" # to move from one to the other
in_cgroup own sh "$(dirname "$0")/commands.sh" "$dir"

echo '== systemd'
# systemd looks for this directory, to see whether it is what runs the machine.
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system
in_cgroup systemd /lib/systemd/systemd --user --log-level=err >"$dir/systemd.log" 2>&1 &
manager=$!
waited=0
until [ -S "$dir/run/systemd/private" ] || [ $waited = 600 ] || ! kill -0 $manager; do
	sleep 0.1
	waited=$((waited + 1))
done
in_cgroup login sh "$(dirname "$0")/systemd.sh" "$dir"
cat "$dir/systemd.log"
# The manager, which $! is not.
kill -KILL $(cat "$group/systemd/init.scope/cgroup.procs")
