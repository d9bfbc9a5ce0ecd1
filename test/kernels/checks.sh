# The checks of a guest, as a user with one id. Each prints "ok NAME" or "FAIL NAME: RESULT".
cd /disk/user || exit 1
unset XDG_RUNTIME_DIR XDG_STATE_HOME

# check NAME WANT COMMAND... compares what the command prints, in one line, and its status if it
# is not 0.
check() {
	name=$1 want=$2
	shift 2
	got=$(timeout 120 "$@" 2>&1) || got="$got status $?"
	got=$(echo "$got" | grep -v level=WARN | tr '\n' ' ')
	if [ "${got% }" = "$want" ]; then echo "ok $name"; else echo "FAIL $name: $got"; fi
}
inside() { check "$1" "$2" subuidless exec -- sh -c "$3"; }

check exec 0 subuidless exec -- id -u
touch foo
check 'chown, and the next run' 42:42 sh -c 'subuidless exec -- chown 42:42 foo; subuidless exec -- stat -c %u:%g foo'
inside 'all types of files' 'dir 1:2 fifo 3:4 link 5:6 null 0:7 sda 8:0' '
	mkdir dir; mkfifo fifo; ln -s x link; mknod null c 1 3; mknod sda b 8 1
	chown -h 1:2 dir; chown -h 3:4 fifo; chown -h 5:6 link; chown 0:7 null; chown 8:0 sda; stat -c "%n %u:%g" dir fifo link null sda'
check 'all types, and the next run' 'directory 1:2 fifo 3:4 symbolic link 5:6 character special file 0:7 block special file 8:0' \
	subuidless exec -- stat -c '%F %u:%g' dir fifo link null sda
inside 'types of devices in a list' 'b c' 'find . -type b -exec echo b \;; find . -type c -exec echo c \;'
inside tar 'dir 1:2 fifo 3:4 foo 42:42 sda 8:0' '
	tar -cf /tmp/a.tar dir fifo foo sda; mkdir copy; cd copy; tar -xpf /tmp/a.tar; stat -c "%n %u:%g" *'
inside 'owners on tmpfs' 'b 42:43 d 42:43 f 42:43 l 42:43 p 42:43 z 42:43' '
	mkdir /tmp/t; cd /tmp/t; touch f; mkdir d; ln -s x l; mkfifo p; mknod z c 1 5; mknod b b 8 1; chown -h 42:43 *; stat -c "%n %u:%g" *; rm -r /tmp/t'
check 'a killed worker' '1:2 3:4' sh -c '
	subuidless exec -- sh -c "touch k; chown 1:2 k; stat -c %u:%g k; touch begun; until [ -e killed ]; do sleep 0.1; done; chown 3:4 k; stat -c %u:%g k" &
	until [ -e begun ]; do sleep 0.1; done; killall -KILL subuidless-worker || echo none; touch killed; wait'
inside identities '33 33 0' 'su -s /bin/sh www -c "id -u; id -g"; id -u'
inside 'files of other users' '33:33' 'chmod 777 .; su -s /bin/sh www -c "touch w"; stat -c %u:%g w'
inside 'a closed file' "cat: can't open 'key': Permission denied status 1" 'echo secret >key; chmod 600 key; su -s /bin/sh www -c "cat key"'
inside 'chown by others' 'chown: foo: Operation not permitted status 1' 'su -s /bin/sh www -c "chown 33 foo"'
inside 'a hard link in a sticky directory' "ln: l: Operation not permitted status 1" 'mkdir -m 1777 sticky; cd sticky; echo x >f; chmod 600 f; su -s /bin/sh www -c "ln f l"'
inside 'a privileged port' 'nc: bind: Permission denied status 1' 'su -s /bin/sh www -c "nc -l -p 80 -w 1 </dev/null"'
inside 'a network interface' 'ifconfig: SIOCSIFFLAGS: Operation not permitted status 1' 'su -s /bin/sh www -c "ifconfig lo down"'
inside 'namespaces of others' 'nsenter: setns(): can'"'"'t reassociate to namespace '"'"'uts'"'"': Operation not permitted status 1' 'su -s /bin/sh www -c "nsenter --uts=/proc/self/ns/uts true"'

mkdir -p rootfs/bin rootfs/etc rootfs/proc rootfs/dev rootfs/sys rootfs/tmp rootfs/root rootfs/v shared
cp /bin/busybox rootfs/bin/busybox
for l in sh id ls cat touch stat chown hostname; do ln -s busybox rootfs/bin/$l; done
cp /etc/passwd /etc/group rootfs/etc/
check run 0 subuidless run rootfs -- id -u
check 'run as another user' 33 subuidless run --user 33 rootfs -- id -u
check 'a volume' '42:43' subuidless run -v /disk/user/shared:/v rootfs -- sh -c 'touch /v/f; chown 42:43 /v/f; stat -c %u:%g /v/f'
check 'a read-only volume' 'touch: /v/g: Read-only file system status 1' subuidless run -v /disk/user/shared:/v:ro rootfs -- touch /v/g
check 'descriptors of the caller' '0 1 2 3' sh -c 'subuidless run rootfs -- ls /proc/self/fd 9</etc/passwd'
check 'no network' 'lo' sh -c 'subuidless run --net none rootfs -- ls /sys/class/net'
check 'a limit of memory' ' status 137' subuidless run -m 64m rootfs -- busybox dd if=/dev/zero of=/dev/null bs=200M count=1
check 'a limit of processes' "sh: can't fork: Resource temporarily unavailable status 2" subuidless run --pids-limit 3 rootfs -- sh -c 'for i in 1 2 3; do busybox sleep 9 & done; wait'
check 'a limit of CPU' '0::/ 50000 100000' subuidless run --cpus 0.5 rootfs -- cat /proc/self/cgroup /sys/fs/cgroup/cpu.max
if subuidless doctor >doctor.out 2>&1; then echo 'ok doctor'; else echo "FAIL doctor: $(grep -e missing -e cannot doctor.out | tr '\n' ' ')"; fi
sed 's/^/DOCTOR /' doctor.out
