// The same for 32-bit programs.
#include "kill.c"
