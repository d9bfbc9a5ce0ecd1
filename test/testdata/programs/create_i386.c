// Making inodes by the 32-bit system calls.
#include "create.c"
