// The same with the system calls of 32-bit programs, including socketcall(2).
#include "network.c"
