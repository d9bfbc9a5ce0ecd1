// The same with socketcall(2), which 32-bit programs use.
#include "peer.c"
