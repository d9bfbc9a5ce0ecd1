# coreutils.sh USER [TEST...]: coreutils' tests.
. /test/functions
user=$1
shift
dir=$(copy coreutils "$user")
as "$user" "$dir" make -s -k -j2 check-TESTS VERBOSE=yes ${1:+"TESTS=$*"}
find tests -name '*.trs' -exec sed -n "s|^:test-result: \([A-Z]*\).*|\1 {}|p" {} \; | sed 's/\.trs$//'
