// The same with the structures of 32-bit programs, and socketcall(2).
#include "credentials.c"
