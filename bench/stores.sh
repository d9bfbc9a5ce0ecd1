# What bench/images and bench/engines share: three users with stores of their own, and a registry.
# They source this file first. It needs what test/prepare builds and installs. BENCH_DIR is the
# directory of the stores, by default /dev/shm.

if [ "${1:-}" != private ]; then # a mount namespace, for the files in /etc
	exec unshare --mount --propagation private "$0" private "$@"
fi
shift
user=4242 # without subordinate ids
subs=4243 # with them
cache=${SUBUIDLESS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/subuidless-test}
cd "$(dirname "$0")/.."

# A short name: podman 4 accepts at most 50 bytes for "$XDG_RUNTIME_DIR/containers".
dir=$(mktemp -d "${BENCH_DIR:-/dev/shm}/bench-XXXXXX")
clean() {
	# What the storages have mounted, in this mount namespace.
	awk -v dir="$dir/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r umount -l
	rm -rf --one-file-system "$dir"
}
trap clean EXIT
trap 'exit 1' INT TERM
chmod 755 "$dir"

# The account with subordinate ids, enough for those of the image.
echo "bench:x:$subs:$subs::$dir/subs/home:/bin/sh" | cat /etc/passwd - >"$dir/passwd"
echo "bench:1000000000:200000" >"$dir/subid"
for file in passwd subuid subgid; do
	[ -e /etc/$file ] || : >/etc/$file
	mount --bind "$dir/$([ $file = passwd ] && echo passwd || echo subid)" /etc/$file
done
# Without it, crun 1.8 refuses to work where cgroups are hybrid.
[ ! -e /sys/fs/cgroup/unified ] || mount -t tmpfs tmpfs /sys/fs/cgroup/unified

CGO_ENABLED=0 cmd/build "$dir/subuidless" -trimpath
CGO_ENABLED=0 go build -o "$dir/registry" ./bench/registry

for who in root subs user; do
	mkdir -p "$dir/$who/home" "$dir/$who/run" "$dir/$who/tmp"
	chmod 700 "$dir/$who/run"
done
chown -R $subs:$subs "$dir/subs"
chown -R $user:$user "$dir/user"

# serve DIRECTORY NAME=LAYER.tar... starts the registry, and sets registry and mirror to the addresses
# of images and files. It ends when descriptor 9 is closed.
serve() {
	mkfifo "$dir/end"
	"$dir/registry" "$@" <"$dir/end" >"$dir/addresses" &
	exec 9>"$dir/end"
	until [ -s "$dir/addresses" ]; do
		kill -0 $! || exit 1
		sleep 0.1
	done
	# shellcheck disable=SC2034 # bench/engines has no use for the mirror
	read -r registry mirror <"$dir/addresses"
}

as() { # root|subs|user COMMAND...: as this user, with a home of its own
	who=$1
	shift
	case $who in
	root) id=0 ;;
	subs) id=$subs ;;
	user) id=$user ;;
	esac
	setpriv --reuid $id --regid $id --clear-groups env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
		HOME="$dir/$who/home" XDG_RUNTIME_DIR="$dir/$who/run" TMPDIR="$dir/$who/tmp" LC_ALL=C.UTF-8 "$@"
}

median() { # of the numbers on standard input
	sort -n | awk '{ t[NR] = $1 } END { print (t[int((NR + 1) / 2)] + t[int(NR / 2) + 1]) / 2 }'
}
