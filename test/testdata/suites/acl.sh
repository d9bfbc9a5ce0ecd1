# Usage: acl.sh USER. Runs the tests of getfacl and setfacl.
. /test/functions
commands acl "$1"
