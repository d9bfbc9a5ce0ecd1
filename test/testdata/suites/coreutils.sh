# Usage: coreutils.sh USER [PREFIX...]. Runs coreutils' tests, or those whose names below
# tests/ begin with a prefix.
. /test/functions
user=$1
shift
dir=$(copy coreutils "$user")
chosen=
for pattern; do
	chosen="$chosen $(sed -n "s|^ *\(tests/$pattern[[:alnum:]_./-]*\).*|\1|p" "$dir/tests/local.mk")"
done
as "$user" "$dir" make -s -k -j4 check-TESTS VERBOSE=yes ${1:+"TESTS=$chosen"}
find tests -name '*.trs' -exec sed -n "s|^:test-result: \([A-Z]*\).*|\1 {}|p" {} \; | sed 's/\.trs$//'
