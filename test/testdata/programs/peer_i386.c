// The same by socketcall(2), which 32-bit programs use.
#include "peer.c"
