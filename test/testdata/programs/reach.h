// Helpers for programs that print which files a user can access.
#include "call.h"
#include <grp.h>

// as_user calls f in a process of user 1000.
static inline void as_user(void (*f)(void)) {
	fflush(stdout);
	pid_t pid = must(fork());
	if (pid == 0) {
		must(setgroups(0, NULL));
		must(setresgid(1000, 1000, 1000));
		must(setresuid(1000, 1000, 1000));
		f();
		fflush(stdout);
		_exit(0);
	}
	reap(pid);
}

// try_open opens a file and closes it.
static inline int try_open(const char *path, int flags) {
	int fd = open(path, flags, 0644);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}
