# What a user sees in /proc of other users' processes and of its own.
look() {
	for link in exe ns/mnt; do
		readlink /proc/$1/$link | sed 's/[0-9]\{5,\}/N/'
	done
	for link in exe cwd root ns/mnt; do
		stat -L -c %F /proc/$1/$link
	done
	for file in maps smaps smaps_rollup numa_maps environ status io; do
		head -c 1 /proc/$1/$file | wc -c
	done
	for dir in fd fdinfo; do
		ls /proc/$1/$dir | wc -l
	done
	cd /proc/$1/cwd && echo there
	cd /proc/$1/root && echo there
}
if [ $# = 0 ]; then
	sleep 600 &
	root=$!
	# Names without a directory are looked up where every user has search permission.
	setpriv --reuid 1000 --regid 1000 --clear-groups sh -c 'exec sleep 600' &
	own=$!
	until [ "$(stat -c %u /proc/$own)" = 1000 ] && [ "$(cat /proc/$own/comm)" = sleep ]; do sleep 0.05; done
	{ cat "$0"; echo "look $root; look $own; look self"; } |
		setpriv --reuid 1000 --regid 1000 --clear-groups sh -s user 2>&1 | sed "s#/proc/$root/#/proc/ROOT/#; s#/proc/$own/#/proc/OWN/#"
	# One after the other: SIGCHLD, which the shell handles without SA_RESTART, may interrupt
	# a kill.
	# The shell may report the end of the first, or not.
	{ kill $root; wait $root || kill $own; } 2>/dev/null
fi
