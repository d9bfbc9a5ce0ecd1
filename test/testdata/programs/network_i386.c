// The same by the calls of 32-bit programs, socketcall(2) among them.
#include "network.c"
