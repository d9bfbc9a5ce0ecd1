# Programs whose ELF interpreter the caller may not execute, read or reach.
# Needs: python3
. "${0%/*}/functions"

chmod 755 .
# A copy of true whose interpreter is loader, and that is in closed.
cat >loaded.py <<'EOF'
import os, re
true = open(os.path.realpath("/bin/true"), "rb").read()
old = re.search(rb"/lib[^\0]*/ld-[^\0]*", true).group()
for name, path in ("program", b"./loader"), ("hidden", b"./closed/loader"), ("absent", b"./none"), ("directory", b"./closed"):
    with open(name, "wb") as f:
        f.write(true.replace(old + b"\0", path.ljust(len(old) + 1, b"\0")))
with open("loader", "wb") as f:
    f.write(open(old, "rb").read())
EOF
python3 loaded.py
chmod 755 program hidden absent directory
mkdir closed
cp loader closed
cp /bin/sleep plain
chmod 755 loader closed/loader plain
run() {
	status=0
	as_user "$1" sh -c "$2" 2>&1 || status=$?
	echo "$2 as $1: $status"
}
for mode in 755 711 744 700 600 644; do
	chmod $mode loader
	echo "mode $mode"
	for user in 0 1234; do
		run $user 'exec ./program'
		run $user 'exec ./hidden'
	done
done
chown 1234 loader
run 1234 'exec ./program'
chmod 700 closed loader
for user in 0 1234; do
	run $user 'exec ./program'
	run $user 'exec ./hidden'
	run $user 'exec ./absent'
	run $user 'exec ./directory'
	run $user 'exec ./plain 0'
done
# Whose /proc/PID belongs to root: a process that may not read its interpreter.
chmod 755 closed
chown 0 loader
for mode in 711 755; do
	chmod $mode loader
	as_user 1234 sh -c './loader ./program; echo $?' 2>&1
done
