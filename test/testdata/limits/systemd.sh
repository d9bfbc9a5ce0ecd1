# Limits of containers where a systemd serves the user.
exec 2>&1
cd "$1" || exit
image=localhost/base
see='cat /proc/self/cgroup | tail -n 1; cat /sys/fs/cgroup/cgroup.max.descendants'
# ended waits until systemd has removed all scopes.
ended() {
	for i in $(seq 600); do
		[ "$(systemctl --user list-units --plain --no-legend --all '*.scope' | grep -vc '^init.scope')" = 0 ] && break
		sleep 0.1
	done
	systemctl --user list-units --plain --no-legend --all '*.scope' | cut -d ' ' -f 1
}
subuidless run --rm --cgroup-conf cgroup.max.descendants=7 $image sh -c "$see"
subuidless run -d --name service --cgroup-conf cgroup.max.descendants=8 $image sleep 1000 >/dev/null
subuidless exec service sh -c "$see"
place() { subuidless inspect -f '{{.State.CgroupPath}}' service | sed 's/.*systemd/SYSTEMD/; s/[0-9a-f]\{64\}/ID/g; s/-[0-9]*[.]scope/-PID.scope/; s/run-r[0-9a-f]*/RUN/'; }
place
subuidless restart -t 0 service >/dev/null
place
subuidless stop -t 0 service >/dev/null
ended

echo '# in a scope of the user'
systemd-run --user --scope --quiet -p Delegate=yes subuidless start service >/dev/null
place
subuidless rm -f service >/dev/null
ended
