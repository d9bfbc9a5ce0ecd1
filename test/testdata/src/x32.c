// x32 calls chown with the x32 ABI, which few kernels have, and prints the result.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) {
	if (argc != 2)
		return 2;
	if (syscall(SYS_fchownat | 0x40000000, -100, argv[1], 42, 42, 0) < 0)
		puts(strerrorname_np(errno));
	else
		puts("done");
	return 0;
}
