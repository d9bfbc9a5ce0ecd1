// The same with 32-bit structures.
#include "mq.c"
