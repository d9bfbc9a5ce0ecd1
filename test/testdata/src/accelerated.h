// What the tests of accelerated processes share.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define QUOTE(x) #x
#define STRING(x) QUOTE(x)
#ifdef PADDING // see compileWithRoom
__asm__(".section .text.padding,\"ax\",@progbits\n	.skip " STRING(PADDING) "\n	.previous\n");
#endif

static int wrong, expected;

#define CHECK(...) \
	do { \
		if (!(__VA_ARGS__)) { \
			printf("line %d: not %s (errno %d)\n", __LINE__, #__VA_ARGS__, errno); \
			wrong = 1; \
		} \
	} while (0)

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

// A call site of our own, so that we can see whether it has been patched.
extern unsigned char site_stat[];
static __attribute__((noinline, noclone)) long site(const char *path, struct stat *st) {
	long r;
	register long r10 __asm__("r10") = 0;
	__asm__ volatile("site_stat: mov $262, %%eax\n	syscall" : "=a"(r) : "D"((long)AT_FDCWD), "S"(path), "d"(st), "r"(r10) : "rcx", "r11", "memory");
	return r;
}

static int patched(void) { return *(volatile unsigned char *)site_stat == 0xe9; }

static int mapped(void) {
	char line[300];
	int found = 0;
	FILE *f = fopen("/proc/self/maps", "r");
	CHECK(f);
	while (fgets(line, sizeof(line), f))
		found |= strstr(line, "subuidless-accelerate") != NULL;
	fclose(f);
	return found;
}

static struct stat mine; // the status of the file "file"

// warm_up makes calls until the process is accelerated. On a busy machine that may take many:
// each receiver counts for itself, and waits longer after each attempt in vain.
static void warm_up(void) {
	struct stat st;
	for (int i = 0; i < 100 || (expected && i < 200000 && !patched()); i++)
		CHECK(site("file", &st) == 0);
	if (expected) {
		CHECK(patched());
		CHECK(mapped());
	}
}

static unsigned count; // another number in each program that a process executes

// changes_right checks calls that change files, which have a name of their own each time.
static void changes_right(void) {
	unsigned n = __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
	char name[] = "t00000000.00000000", other[sizeof(name)];
	unsigned long id = (unsigned long)getpid() << 32 | n;
	for (char *c = name + sizeof(name) - 2; c > name; c--)
		if (*c != '.') {
			*c = "0123456789abcdef"[id & 15];
			id >>= 4;
		}
	memcpy(other, name, sizeof(name));
	other[0] = 'u';
	struct stat st;
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600);
	CHECK(fd >= 0);
	CHECK(open(name, O_CREAT | O_EXCL | O_WRONLY, 0600) < 0 && errno == EEXIST);
	CHECK(fchmod(fd, 0640) == 0);
	CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0640 && st.st_uid == 0);
	CHECK(close(fd) == 0);
	CHECK(rename(name, other) == 0);
	CHECK(unlink(name) < 0 && errno == ENOENT);
	CHECK(unlink(other) == 0);
	CHECK(mkdir(name, 0700) == 0);
	CHECK(rmdir(name) == 0);
	CHECK(mkdir((char *)8, 0700) < 0 && errno == EFAULT);
}

// right checks a few calls, which are async-signal-safe.
static void right(void) {
	struct stat st;
	CHECK(site("file", &st) == 0 && st.st_ino == mine.st_ino && st.st_size == 5 && st.st_uid == 0);
	CHECK(stat("owned", &st) == 0 && st.st_uid == 42);
	CHECK(site("none", &st) == -ENOENT);
	CHECK(site((char *)8, &st) == -EFAULT);
	int fd = open("file", O_RDONLY);
	CHECK(fd >= 0);
	CHECK(fstat(fd, &st) == 0 && st.st_ino == mine.st_ino);
	CHECK(fcntl(fd, F_GETFD) == 0);
	CHECK(close(fd) == 0);
	CHECK(access("file", R_OK) == 0);
	CHECK(getuid() == 0);
	char link[10];
	CHECK(readlink("link", link, sizeof(link)) == 4 && memcmp(link, "file", 4) == 0);
	changes_right();
}

static int succeeds(pid_t pid) {
	int status;
	return waitpid(pid, &status, 0) == pid && status == 0;
}

struct test {
	const char *name;
	void (*test)(double seconds);
};

// run runs the one of n tests that argv names, in a directory that it prepares.
static int run(const struct test *tests, unsigned n, int argc, char **argv) {
	expected = getenv("SUBUIDLESS_ACCELERATED") != NULL;
	count = now() * 1e6;
	// Not with the call sites of the tests.
	long fd = syscall(SYS_openat, AT_FDCWD, "file", O_CREAT | O_WRONLY | O_TRUNC, 0644);
	CHECK(write(fd, "12345", 5) == 5 && close(fd) == 0);
	CHECK(symlink("file", "link") == 0 || errno == EEXIST);
	fd = syscall(SYS_openat, AT_FDCWD, "owned", O_CREAT | O_WRONLY, 0644);
	CHECK(close(fd) == 0);
	CHECK(chown("owned", 42, 42) == 0);
	CHECK(syscall(SYS_stat, "file", &mine) == 0);
	for (unsigned i = 0; argc > 1 && i < n; i++)
		if (strcmp(tests[i].name, argv[1]) == 0) {
			tests[i].test(argc > 2 ? atof(argv[2]) : 0.5);
			if (!wrong)
				puts("ok");
			return wrong;
		}
	for (unsigned i = 0; i < n; i++)
		puts(tests[i].name);
	return 2;
}
