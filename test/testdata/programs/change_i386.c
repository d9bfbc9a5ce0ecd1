// The same by the 32-bit system calls.
#include "change.c"
