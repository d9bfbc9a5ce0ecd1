# The tests of a guest, as root: those of the packages that make system calls, and the oracle. The
# disk /tests has their binaries, built outside. Prints "ok NAME", or "FAIL NAME: TESTS" and what
# failed.
export TMPDIR=/disk/tmp HOME=/root
mkdir -p $TMPDIR $HOME
chmod 1777 $TMPDIR

# What a guest cannot have. TestHintLines: the shell of busybox runs its own tee in place of that in
# PATH. TestCopy: busybox is what the name of its copy says.
skip='^(TestHintLines|TestCopy)$'

failed=
for dir in /tests/internal/*; do
	package=$(cat "$dir/package")
	cd "$dir" || exit 1
	if ! timeout -k 5 600 ./test -test.skip "$skip" -test.timeout 10m >/tmp/test.out 2>&1 </dev/null; then
		failed="$failed $package: $(sed -n 's/^ *--- FAIL: \([^ ]*\).*/\1/p; s/^panic: .*/&/p' /tmp/test.out | head -n 20 | tr '\n' ' ')"
		head -c 8000 /tmp/test.out
	fi
done
if [ -z "$failed" ]; then echo 'ok tests of packages'; else echo "FAIL tests of packages:$failed"; fi

# oracle NAME ARGUMENT... runs the oracle.
oracle() {
	name=$1
	shift
	if timeout -k 5 900 /tests/oracle/oracle -dir /disk/oracle -subuidless /bin/subuidless -interpreter /tests/oracle/interpreter "$@" >/tmp/oracle.out 2>&1 </dev/null; then
		echo "ok $name"
	else
		echo "FAIL $name: $(tail -n 1 /tmp/oracle.out)"
		grep -A 40 -e differs -e FLAKY -e panic /tmp/oracle.out | head -c 20000
	fi
}
# Linux 5.10 differs from later kernels, whose results subuidless emulates, in which of several errors a
# call gives, and in the result of removing an ACL that there is not.
case $(uname -r) in 5.10.*) exit ;; esac
mkdir -p /disk/oracle
oracle 'regressions of the oracle' -fs ext4 /tests/oracle/testdata/*.txt
for fs in ext4 tmpfs overlay; do
	oracle "the oracle on $fs" -fs $fs -seed 0 -n "$(cat /tests/oracle/seeds)"
done
