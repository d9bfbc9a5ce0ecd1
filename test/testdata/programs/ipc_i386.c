// The same with ipc(2), which 32-bit programs use.
#define COPIES
#include "ipc.c"
