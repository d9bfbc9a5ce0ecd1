// The same for 32-bit programs.
#include "prlimit.c"
