# Usage: attr.sh USER. Runs the tests of getfattr and setfattr.
. /test/functions
commands attr "$1"
