# The tests of a guest, as root: those of the packages that make system calls, and the oracle. The
# disk /tests has their binaries, built outside. Prints "ok NAME", or "FAIL NAME: TESTS" and what
# failed, and for whoever wants to shorten this: "TIME SECONDS NAME".
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
	start=$(date +%s)
	if ! timeout -k 5 600 ./test -test.short -test.skip "$skip" -test.timeout 10m >/tmp/test.out 2>&1 </dev/null; then
		failed="$failed $package: $(sed -n 's/^ *--- FAIL: \([^ ]*\).*/\1/p; s/^panic: .*/&/p' /tmp/test.out | head -n 20 | tr '\n' ' ')"
		head -c 8000 /tmp/test.out
	fi
	echo "TIME $(($(date +%s) - start)) $package"
done
if [ -z "$failed" ]; then echo 'ok tests of packages'; else echo "FAIL tests of packages:$failed"; fi

# oracle NAME ARGUMENT... runs the oracle.
oracle() {
	name=$1 start=$(date +%s)
	shift
	if timeout -k 5 900 /tests/oracle/oracle -dir /disk/oracle -subuidless /bin/subuidless -interpreter /tests/oracle/interpreter "$@" >/tmp/oracle.out 2>&1 </dev/null; then
		echo "ok $name"
	else
		echo "FAIL $name: $(tail -n 1 /tmp/oracle.out)"
		grep -A 40 -e differs -e FLAKY -e panic /tmp/oracle.out | head -c 20000
	fi
	echo "TIME $(($(date +%s) - start)) $name"
}
# Some calls fail with another error on old kernels than on later ones, whose results subuidless
# emulates: up to Linux 6.12 those of attributes with bad names at paths that the caller may not search,
# and on 5.10 also execveat of an empty program, open with O_CREAT and O_DIRECTORY, and, on ext4,
# FS_IOC_FSSETXATTR. There, users cannot mount overlayfs; on 6.1, rmdir in theirs fails with EIO. Before
# Linux 6.6, tmpfs cannot store what subuidless records of attributes and ACLs. Linux 6.1 with the
# security module bpf lets everybody change attributes security.*, which subuidless does not.
others= without= systems='ext4 tmpfs overlay'
case $(uname -r) in
5.10.*) others='long-names exec-busy-capabilities sticky-link' without=acl,attributes systems=tmpfs ;;
6.1.*) others=long-names without=acl,attributes systems='ext4 tmpfs' ;;
6.12.*) others=long-names ;;
esac
set --
for file in /tests/oracle/testdata/*.txt; do
	name=${file##*/}
	case " $others " in *" ${name%.txt} "*) ;; *) set -- "$@" "$file" ;; esac
done
mkdir -p /disk/oracle
oracle 'regressions of the oracle' -fs ext4 "$@"
for fs in $systems; do
	oracle "the oracle on $fs" -fs "$fs" -without "$without" -seed 0 -n "$(cat /tests/oracle/seeds)"
done
