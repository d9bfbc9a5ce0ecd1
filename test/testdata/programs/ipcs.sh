# ipcmk, ipcs and ipcrm as root and as other users, in the IPC namespace that the shell is in
# and in another one.
. "${0%/*}/functions"

# list prints the objects of this script, without ids and times.
list() { # KIND LETTER ID
	echo "$1 as $4:"
	as_user "$4" ipcs "$2" -i "$3" 2>&1 | grep -o -E '(uid|gid|cuid|cgid|mode|access_perms|bytes|nattch|nsems|qbytes)=[0-9]+' | tr '\n' ' '
	echo
	as_user "$4" awk -v id="$3" '
		NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i }
		NR > 1 && $2 == id { print $3, "uid", $column["uid"], $column["gid"], "cuid", $column["cuid"], $column["cgid"], (column["cpid"] && $column["cpid"] ? "cpid" : "none") }
	' "/proc/sysvipc/$1"
}

# number prints the id in the output of ipcmk.
number() { sed 's/.*: //'; }

objects() {
	for owner in 0 1234; do
		for mode in 600 640 644; do
			echo "of $owner, mode $mode"
			shm=$(as_user $owner ipcmk -M 100 -p $mode | number)
			sem=$(as_user $owner ipcmk -S 3 -p $mode | number)
			msg=$(as_user $owner ipcmk -Q -p $mode | number)
			for id in 0 1234 5678; do
				list shm -m "$shm" $id
				list sem -s "$sem" $id
				list msg -q "$msg" $id
			done
			as_user 5678 ipcrm -m "$shm" 2>&1 | sed 's/[0-9]*)/ID)/'
			as_user 5678 ipcrm -s "$sem" 2>&1 | sed 's/[0-9]*)/ID)/'
			as_user 5678 ipcrm -q "$msg" 2>&1 | sed 's/[0-9]*)/ID)/'
			as_user $owner ipcrm -m "$shm" -s "$sem" -q "$msg"
		done
	done
}

echo "in ${1-the first} namespace"
objects
if [ $# = 0 ]; then
	unshare --ipc sh -eu "$0" another
	echo "back in the first namespace"
	objects
fi
