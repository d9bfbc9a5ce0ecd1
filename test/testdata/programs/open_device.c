// Opening device nodes that mknod has created.
#include "call.h"
#include <linux/openat2.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

static int openat2(int dirfd, const char *path, uint64_t flags, uint64_t resolve) {
	struct open_how how = {.flags = flags, .resolve = resolve};
	return syscall(SYS_openat2, dirfd, path, &how, sizeof how);
}

// opened prints what was opened, and closes it.
static void opened(const char *call, int fd) {
	struct stat st;
	if (fd < 0) {
		printf("%s: %s\n", call, strerrorname_np(errno));
		return;
	}
	must(fstat(fd, &st));
	int flags = must(fcntl(fd, F_GETFL));
	printf("%s: type %o device %u:%u, size %ld, flags %o, close-on-exec %d\n", call, st.st_mode & S_IFMT, major(st.st_rdev),
	       minor(st.st_rdev), (long)st.st_size, flags & (O_ACCMODE | O_APPEND | O_NONBLOCK | O_PATH | O_DIRECT), must(fcntl(fd, F_GETFD)));
	close(fd);
}

#define OPENED(call) opened(#call, call)

static void every_way(const char *path) {
	printf("%s\n", path);
	OPENED(open(path, O_WRONLY));
	OPENED(open(path, O_RDWR));
	OPENED(open(path, O_RDWR | O_CLOEXEC));
	OPENED(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600));
	OPENED(open(path, O_WRONLY | O_CREAT | O_EXCL, 0600));
	OPENED(open(path, O_WRONLY | O_APPEND | O_NONBLOCK));
	OPENED(open(path, O_WRONLY | O_NOFOLLOW | O_NOCTTY));
	OPENED(open(path, O_WRONLY | O_NOATIME));
	OPENED(open(path, O_RDWR | O_DIRECTORY));
	OPENED(open(path, O_RDWR | O_TMPFILE, 0600));
	OPENED(open(path, O_RDWR | O_CREAT | O_DIRECTORY, 0600));
	OPENED(creat(path, 0600));
	OPENED(openat2(AT_FDCWD, path, O_RDONLY, 0));
	OPENED(openat2(AT_FDCWD, path, O_RDWR | O_CLOEXEC, RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH));
	OPENED(openat2(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0));
	OPENED(openat2(AT_FDCWD, path, O_RDWR | 1ull << 40, 0));
	OPENED(openat2(AT_FDCWD, path, O_RDWR | 1 << 30, 0));
	OPENED(openat2(AT_FDCWD, path, O_RDWR, 1 << 20));
	struct open_how how = {.flags = O_RDWR, .mode = 0600};
	OPENED(syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how));
	must(symlink(path, "link"));
	OPENED(open("link", O_RDWR));
	OPENED(open("link", O_RDWR | O_NOFOLLOW));
	OPENED(open("link", O_RDWR | O_CREAT, 0600));
	must(unlink("link"));
	char below[64];
	snprintf(below, sizeof below, "%s/", path);
	OPENED(open(below, O_RDWR));
	must(chmod(path, 0));
	OPENED(open(path, O_RDWR));
	must(chown(path, 42, 43));
	OPENED(open(path, O_RDWR));
	must(chown(path, 0, 0));
	must(chmod(path, 0666));
}

int main(void) {
	umask(022);
	char b[16];
	struct stat st;
	must(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	must(mknod("zero", S_IFCHR | 0666, makedev(1, 5)));
	must(mknod("full", S_IFCHR | 0666, makedev(1, 7)));
	must(mknod("random", S_IFCHR | 0666, makedev(1, 8)));
	must(mknod("urandom", S_IFCHR | 0666, makedev(1, 9)));
	must(mknod("nothing", S_IFCHR | 0666, makedev(4000, 1)));
	must(mknod("nodisk", S_IFBLK | 0666, makedev(4000, 1)));
	every_way("null");
	every_way("zero");
	every_way("full");
	every_way("random");
	every_way("urandom");
	every_way("nothing");
	every_way("nodisk");
	OPENED(open("null", O_RDONLY | O_PATH));
	OPENED(open("nothing", O_RDONLY));
	OPENED(open("nodisk", O_RDONLY));

	puts("what they do");
	int null = must(open("null", O_RDWR)), zero = must(open("zero", O_RDWR)), full = must(open("full", O_RDWR)),
	    urandom = must(open("urandom", O_RDWR));
	CALL(write(null, "gone", 4));
	CALL(read(null, b, sizeof b));
	CALL(lseek(null, 5, SEEK_SET));
	CALL(write(zero, "gone", 4));
	memset(b, 1, sizeof b);
	CALL(read(zero, b, sizeof b));
	CALL(b[0] + b[15]);
	CALL(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0) != MAP_FAILED);
	CALL(write(full, "gone", 4));
	CALL(read(full, b, sizeof b));
	CALL(read(urandom, b, sizeof b));
	CALL(ftruncate(null, 0));
	must(stat("null", &st));
	printf("  size %ld\n", (long)st.st_size);

	puts("the terminal of a session without one");
	must(mknod("tty", S_IFCHR | 0666, makedev(5, 0)));
	fflush(stdout);
	if (must(fork()) == 0) {
		must(setsid());
		OPENED(open("tty", O_RDWR));
		OPENED(open("tty", O_RDWR | O_CREAT | O_EXCL, 0600));
		fflush(stdout);
		_exit(0);
	}
	must(wait(NULL));
	return 0;
}
