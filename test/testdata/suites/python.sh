# Usage: python.sh USER [TEST...]. Runs Python's tests of its interfaces to the kernel.
. /test/functions
user=$1
shift
[ $# != 0 ] || set -- test_os test_posix test_pathlib test_shutil
dir=$(home "$user")
as "$user" "$dir" python3 -m test -j2 --timeout 300 --junit-xml "$dir/results.xml" "$@"
python3 /test/junit.py "$dir/results.xml"
