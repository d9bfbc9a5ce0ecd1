// io_uring tries to set up a ring and prints the error.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
	struct io_uring_params params;
	memset(&params, 0, sizeof(params));
	if (syscall(SYS_io_uring_setup, 1, &params) < 0)
		puts(strerrorname_np(errno));
	else
		puts("a ring");
	return 0;
}
