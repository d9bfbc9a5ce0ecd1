// The same with the system calls of 32-bit programs.
#include "skipped.c"
