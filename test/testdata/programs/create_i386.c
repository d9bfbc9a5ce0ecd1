// Creating inodes with the 32-bit system calls.
#include "create.c"
