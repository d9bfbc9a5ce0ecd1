# Programs that create user namespaces.
# Needs: getfacl setcap python3
. "${0%/*}/functions"

chmod 777 .
try unshare -U id -u
try unshare -U id -g
try unshare --map-user=5 id -u
try unshare --map-user=5 --map-group=6 id -g
try unshare -r id -u
try as_user 33 unshare -r id -u
try as_user 33 unshare -U id -u
try as_user 33 unshare --map-user=5 sh -c 'id -u; cat /proc/self/uid_map; cat /proc/self/setgroups'
try as_user 33 unshare -r cat /proc/self/uid_map /proc/self/gid_map
try as_user 33 unshare -r unshare --map-user=7 cat /proc/self/uid_map
try as_user 33 unshare -r unshare -r unshare --map-user=7 --map-group=8 sh -c 'id -u; id -g; cat /proc/self/uid_map'
try as_user 33 unshare -r setpriv --reuid 0 --clear-groups true
try as_user 33 unshare -r setpriv --reuid 5 true
try as_user 33 unshare -r sh -c 'cd /; : >/proc/self/uid_map'

echo root >root
echo user >user
echo group >group
chown 33:33 user
chown 33 group
chmod 640 root user group
for file in root user group; do
	try as_user 33 unshare -r stat -c '%u:%g %a' $file
	try as_user 33 unshare -r cat $file
	try as_user 33 unshare -r chown 0:0 $file
	try as_user 33 unshare -r chown 1 $file
	try as_user 33 unshare -r chmod 600 $file
done
try as_user 33 unshare -r sh -c 'mkdir made; stat -c %u:%g made; ls -nd made/.. | cut -c1-10'
try stat -c %u:%g made

# A range of ids, as newuidmap writes it: user 33 is root.
cat >range.py <<'EOF'
import ctypes, os, sys
up, down = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    os.setgroups([])
    os.setresgid(33, 33, 33)
    os.setresuid(33, 33, 33)
    libc = ctypes.CDLL(None)
    libc.prctl(4, 1)  # PR_SET_DUMPABLE: /proc/PID belongs to the user
    libc.unshare(0x10000000)  # CLONE_NEWUSER
    os.write(up[1], b"x")
    os.read(down[0], 1)
    os.execvp(sys.argv[1], sys.argv[1:])
os.read(up[0], 1)
for file in "uid_map", "gid_map":
    with open(f"/proc/{pid}/{file}", "w") as f:
        f.write("0 33 1\n1 100000 65536\n")
os.write(down[1], b"x")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
EOF
in_range() { try python3 range.py "$@"; }
in_range sh -c 'id -u; id -g; cat /proc/self/uid_map'
in_range sh -c 'id -G; grep Cap /proc/self/status'
cat >inside.sh <<'EOF'
as() { setpriv --reuid "$1" --regid "$1" --clear-groups --inh-caps=-all "$@"; }
id -u
mkdir dir
cd dir
echo x >a
echo x >b
chown 1:2 a
chown 65536:65536 b
chown 65537 b
ls -n . | cut -c1-10,12-40 | sed 's/ [A-Z].*//'
setfacl -m u:5:r,g:6:rw,u:0:r a
getfacl -n a
setfacl -m u:70000:r a
cp /bin/true program
setcap cap_net_raw+ep program
getcap program
getcap -n program
setpriv --reuid 5 --regid 5 --clear-groups ./program
chown 7:8 program
chmod 6755 program
stat -c '%u:%g %a' program
setpriv --reuid 9 --regid 9 --clear-groups sh -c 'id -u; id -G; echo y >made; mkdir own; stat -c %u:%g .. .; kill -0 $PPID'
chmod 777 .
setpriv --reuid 9 --regid 9 --clear-groups sh -c 'echo y >made; mkdir own; stat -c %u:%g made own; rm -r own'
mknod null c 1 3
unshare -U id -u
unshare --map-user=4 id -u
setpriv --reuid 9 --regid 9 --clear-groups unshare -r sh -c 'id -u; cat /proc/self/uid_map; stat -c %u:%g made a; chown 0:0 made; chown 1 made'
EOF
in_range sh inside.sh
try stat -c '%n %u:%g %a' dir/*
try getfacl -n dir/a
try getcap -n dir/program
