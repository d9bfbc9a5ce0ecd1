# Limits of containers in a cgroup of the user's own. commands.out has what this and systemd.sh print; a
# section whose controller the machine does not have in version 2 prints "not available" only.
exec 2>&1
dir=$1
cd "$dir" || exit
image=localhost/base
own=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
subuidless load -q -i ../build-base.tar >/dev/null

# section begins the section of a controller, and reports whether the cgroup has it.
section() {
	echo "== $1"
	grep -qw "$1" "$own/cgroup.controllers" || { echo not available; return 1; }
}

echo '== own'
see='cat /proc/self/cgroup | tail -n 1; cd /sys/fs/cgroup; cat cgroup.max.descendants; grep -cx 1 cgroup.procs; cat /proc/1/cgroup | tail -n 1'
subuidless run --rm --cgroup-conf cgroup.max.descendants=7 $image sh -c "$see"
subuidless run -d --name web --cgroup-conf cgroup.max.descendants=8 $image sleep 1000 >/dev/null
subuidless exec web sh -c "$see"
subuidless top web | grep -c 'sleep 1000'
cgroup=$(subuidless inspect -f '{{.State.CgroupPath}}' web)
wc -l <"$cgroup/cgroup.procs" | tr -d ' '
subuidless stop -t 0 web >/dev/null
ls -d "$cgroup" 2>/dev/null
subuidless inspect -f '{{.State.CgroupPath}} {{.State.OOMKilled}}' web

echo '== killed'
kill_monitor() {
	kill -KILL "$(subuidless inspect -f '{{.State.MonitorPid}}' web)"
	subuidless wait web
	ls -d "$cgroup" | wc -l
}
subuidless start web >/dev/null
kill_monitor
subuidless start web >/dev/null
kill_monitor
subuidless rm web >/dev/null
ls -d "$cgroup" 2>/dev/null
# What is left of a root file system is removed by the next container.
mkdir -p "$own/subuidless-run-0"
subuidless run --rm --cgroup-conf cgroup.max.descendants=7 $image true
ls -d "$own"/subuidless-*/ 2>/dev/null | grep -v outside

echo '== errors'
places="s/[0-9a-f]\{64\}/ID/g; s,$own,OWN,"
subuidless run --rm --cgroup-conf cgroup.max.descendants=x $image true 2>&1 | sed "$places"
subuidless run --rm --cgroup-conf cgroup.none=1 $image true 2>&1 | sed "$places"
subuidless run --rm --cgroup-conf nothing.max=1 $image true 2>&1 | sed "$places"
ls -d "$own"/subuidless-*/ 2>/dev/null | grep -v outside

section hugetlb && {
	subuidless run --rm --cgroup-conf hugetlb.2MB.max=4194304 $image cat /sys/fs/cgroup/hugetlb.2MB.max
	subuidless run --rm --cgroup-conf hugetlb.2MB.max=2097152 $image cat /sys/fs/cgroup/hugetlb.2MB.max
	tail -n 1 /proc/self/cgroup | sed 's,.*/own,OWN,'
}

section pids && {
	subuidless run --rm --pids-limit 3 $image sh -c 'cat /sys/fs/cgroup/pids.max; sleep 9 & sleep 9 & sleep 9 & wait'
	echo "status $?"
	for i in 1 2 3; do subuidless run --rm --pids-limit 1 $image cat /sys/fs/cgroup/pids.current; done
	subuidless run -d --name bomb --pids-limit 20 $image sh -c 'sh -c "while :; do sleep 1000 & done" 2>/err; exec sleep 1000' >/dev/null
	for i in $(seq 600); do
		subuidless exec bomb grep fork /err && break
		sleep 0.1
	done
	subuidless top bomb >/dev/null && echo listed
	subuidless rm -f bomb >/dev/null
}

section memory && {
	subuidless run --name m -m 64m $image sh -c 'cd /sys/fs/cgroup; cat memory.max memory.swap.max; [ $(cat memory.current) -lt 2000000 ] && exec dd if=/dev/zero of=/dev/null bs=200M count=1'
	echo "status $?"
	subuidless inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' m
	subuidless rm m >/dev/null
	subuidless run --rm -m 64m $image sh -c 'dd if=/dev/zero of=/dev/null bs=200M count=1 2>/dev/null; echo $?'
	for swap in -1 64m 96m; do subuidless run --rm -m 64m --memory-swap $swap $image cat /sys/fs/cgroup/memory.swap.max; done
	subuidless run --rm --memory-reservation 32m $image cat /sys/fs/cgroup/memory.low
}

section cpu && {
	subuidless run --rm --cpus 0.5 --cpu-shares 512 $image sh -c 'cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu.weight'
	subuidless run --rm --cpu-quota 5000 --cpu-period 10000 $image cat /sys/fs/cgroup/cpu.max
}

section cpuset && subuidless run --rm --cpuset-cpus 0 $image sh -c 'cat /sys/fs/cgroup/cpuset.cpus; grep Cpus_allowed_list /proc/self/status | tr -d "[:space:]"; echo'
true
