#!/bin/sh
# Installs subuidless for one user, without root, and asks for nothing.
#
#   install.sh [install|update|uninstall] [--prefix DIR] [--from DIR|URL]
#
# install and update put the files of a release below DIR (default: ~/.local); uninstall
# removes exactly these. Containers, images and records of owners stay: see
# "subuidless prune". A release is from, in this order: --from; the unpacked archive, or the
# directory of a release, in which this script is; the project's page.
set -eu

fail() {
	echo "install.sh: $*" >&2
	exit 1
}

action=install prefix=${HOME:?}/.local from=
while [ $# -gt 0 ]; do
	case $1 in
	install | update | uninstall) action=$1 ;;
	--prefix | --from)
		[ $# -gt 1 ] || fail "$1 needs a value"
		case $1 in
		--prefix) prefix=$2 ;;
		--from) from=$2 ;;
		esac
		shift
		;;
	-h | --help)
		sed -n '2,/^$/s/^# \{0,1\}//p;/^set -eu/q' "$0"
		exit 0
		;;
	*) fail "unknown argument $1; see install.sh --help" ;;
	esac
	shift
done
case $prefix in
/*) ;;
*) prefix=$PWD/$prefix ;;
esac
state=$prefix/lib/subuidless
manifest=$state/manifest

# remove_files removes what the manifest $1 lists and the manifest $2, if given, does not, and
# directories that are then empty.
remove_files() {
	while IFS= read -r file; do
		if [ -z "${2-}" ] || ! grep -qxF "$file" "$2"; then
			rm -f "$prefix/$file"
			dir=${file%/*}
			while [ "$dir" != . ] && rmdir "$prefix/$dir" 2>/dev/null; do
				case $dir in
				*/*) dir=${dir%/*} ;;
				*) break ;;
				esac
			done
		fi
	done <"$1"
}

if [ "$action" = uninstall ]; then
	[ -e "$manifest" ] || fail "nothing is installed in $prefix"
	systemctl --user disable --now subuidless.socket >/dev/null 2>&1 || true
	list=$(mktemp)
	trap 'rm -f "$list"' EXIT
	cp "$manifest" "$list"
	rm -f "$manifest"
	remove_files "$list"
	rmdir "$state" "$prefix/lib" 2>/dev/null || true
	echo "Removed subuidless from $prefix."
	exit 0
fi
[ "$action" = install ] || [ -e "$manifest" ] || fail "nothing is installed in $prefix"

case $(uname -m) in
x86_64 | amd64) arch=amd64 ;;
aarch64 | arm64) arch=arm64 ;;
*) fail "there is no release for $(uname -m)" ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# get copies the file $1 of the release to $2.
get() {
	case $from in
	http://* | https://*)
		if command -v curl >/dev/null; then
			curl -fsSL -o "$2" "$from/$1"
		else
			wget -qO "$2" "$from/$1"
		fi
		;;
	*) cp "$from/$1" "$2" ;;
	esac || fail "cannot get $1 from $from"
}

here=$(cd "$(dirname "$0")" 2>/dev/null && pwd) || here=
if [ -z "$from" ] && [ -x "$here/bin/subuidless" ] && [ -d "$here/share/man" ]; then
	tree=$here
else
	if [ -z "$from" ]; then
		from=https://github.com/rootless-containers/subuidless/releases/latest/download
		[ ! -e "$here/SHA256SUMS" ] || from=$here
	fi
	get SHA256SUMS "$work/SHA256SUMS"
	archive=$(sed -n "s/^[0-9a-f]*  \(subuidless-.*-linux-$arch\.tar\.gz\)$/\1/p" "$work/SHA256SUMS")
	[ -n "$archive" ] || fail "the release in $from has no archive for $arch"
	get "$archive" "$work/$archive"
	(cd "$work" && grep -F "  $archive" SHA256SUMS | sha256sum -c --quiet -) || fail "$archive is damaged"
	tar -xzf "$work/$archive" -C "$work"
	tree=$work/${archive%.tar.gz}
fi
"$tree/bin/subuidless" --version >/dev/null || fail "the program in $tree does not run on this machine"

mkdir -p "$state"
(cd "$tree" && find bin share lib \( -type f -o -type l \) | LC_ALL=C sort) >"$work/manifest"
while IFS= read -r file; do
	target=$file
	case $file in
	lib/systemd/user/*) target=share/systemd/user/${file##*/} ;; # systemd looks there below ~/.local
	esac
	mkdir -p "$prefix/${target%/*}"
	# Under another name first: the program may be running.
	cp -P "$tree/$file" "$prefix/$target.new"
	case $file in
	*.service) sed -i "s|/usr/bin/subuidless|$prefix/bin/subuidless|" "$prefix/$target.new" ;;
	esac
	mv "$prefix/$target.new" "$prefix/$target"
	echo "$target"
done <"$work/manifest" >"$work/targets"
cp "$0" "$state/install.sh.new" && mv "$state/install.sh.new" "$state/install.sh"
echo lib/subuidless/install.sh >>"$work/targets"
[ ! -e "$manifest" ] || remove_files "$manifest" "$work/targets"
cp "$work/targets" "$manifest.new" && mv "$manifest.new" "$manifest"

echo "Installed $("$prefix/bin/subuidless" --version) in $prefix."
case :$PATH: in
*:"$prefix/bin":*) ;;
*) echo "Add it to your PATH: export PATH=\"$prefix/bin:\$PATH\"" ;;
esac
echo "Examine this machine: subuidless doctor"
echo "Update or remove: sh $state/install.sh update, or uninstall"
