// The same with the calls that i386 has since Linux 5.1.
#define DIRECT
#include "ipc.c"
