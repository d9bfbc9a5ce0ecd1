// The same with the system calls of 32-bit programs.
#include "privileged.c"
