// The same with the 32-bit system calls.
#include "reach.c"
