# Usage: tar.sh USER [NUMBER...]. Runs tar's tests.
. /test/functions
user=$1
shift
dir=$(copy tar "$user")
as "$user" "$dir/tests" sh ./testsuite --jobs=8 "$@"
sed -nE '
	s/^ *([0-9]+): (.*[^ ]) +ok$/PASS \1: \2/p
	s/^ *([0-9]+): (.*[^ ]) +skipped .*/SKIP \1: \2/p
	s/^ *([0-9]+): (.*[^ ]) +expected failure .*/XFAIL \1: \2/p
	s/^ *([0-9]+): (.*[^ ]) +UNEXPECTED PASS$/XPASS \1: \2/p
	s/^ *([0-9]+): (.*[^ ]) +FAILED .*/FAIL \1: \2/p
' "$log"
