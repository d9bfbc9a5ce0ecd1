// The same by the calls of 32-bit programs.
#include "trace.c"
