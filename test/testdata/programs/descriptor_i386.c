// The same by the 32-bit system calls.
#include "descriptor.c"
