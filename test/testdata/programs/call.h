// Helpers for programs that print what system calls return, one line per call.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// CALL makes a call and prints its source text and its result.
#define CALL(call) report(#call, (errno = 0, (long)(call)))

static inline long report(const char *call, long result) {
	if (result < 0)
		printf("%s = %s\n", call, strerrorname_np(errno));
	else
		printf("%s = %ld\n", call, result);
	return result;
}

// show prints the owner and mode of the file itself.
static inline void show(const char *path) {
	struct stat st;
	if (lstat(path, &st) < 0)
		printf("  %s: %s\n", path, strerrorname_np(errno));
	else
		printf("  %s: %06o %u:%u\n", path, st.st_mode, st.st_uid, st.st_gid);
}

// must ends the program if a preparatory call fails.
static inline int must(int result) {
	if (result < 0) {
		perror("preparation");
		exit(1);
	}
	return result;
}

static inline void make_file(const char *path, mode_t mode) {
	close(must(open(path, O_CREAT | O_EXCL | O_WRONLY, 0600)));
	must(chmod(path, mode));
}

// reap waits for a child, and prints its status unless it is 0.
static inline void reap(pid_t pid) {
	int status;
	must(waitpid(pid, &status, 0));
	if (status != 0)
		printf("status %x\n", status);
}

// end_of_page returns the end of a page that is followed by unmapped memory.
static inline char *end_of_page(void) {
	long size = sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		must(-1);
	must(munmap(pages + size, size));
	return pages + size;
}

// read_only returns a read-only page.
static inline void *read_only(void) {
	void *page = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		must(-1);
	return page;
}

// fill returns a string of n characters c.
static inline char *fill(size_t n, char c) {
	char *s = malloc(n + 1);
	memset(s, c, n);
	s[n] = 0;
	return s;
}
