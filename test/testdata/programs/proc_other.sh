# /proc/PID/status in the procfs of another PID namespace, read from outside, as "podman top"
# does.
mkfifo ready
unshare -m -p -f --mount-proc --kill-child sh -c '
setpriv --reuid 21000 --regid 21001 --groups 21002 sh -c "echo; exec sleep 1000" >ready &
wait' &
outer=$!
read -r line <ready
init=$(cat /proc/$outer/task/$outer/children)
nsenter -m -t $init grep -e ^Uid -e ^Gid /proc/1/status
nsenter -m -t $init grep -e ^Uid -e ^Gid -e ^Groups /proc/2/status
nsenter -m -t $init stat -c '%u:%g' /proc/2/status
nsenter -m -t $init grep locks /proc/2/limits
nsenter -m -t $init ls /proc/3 2>&1 || echo gone
kill -KILL $init
wait

# The limit in whose place the identity is, as programs set it.
for user in 0 21000; do
	setpriv --reuid $user --clear-groups grep -e locks -e Limit /proc/self/limits
	setpriv --reuid $user --clear-groups prlimit --locks=3:40000000000 grep locks /proc/self/limits
	setpriv --reuid $user --clear-groups prlimit --locks=0 cat /proc/self/limits | grep locks
done
