// Usage: races SECONDS. Changes and reads owners in the working directory from several
// processes at once until the time is over, and prints impossible results.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { offset = 100000 }; // between the ids of a pair

static double seconds;

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void must(const char *what, int result) {
	if (result < 0) {
		printf("%s: %s\n", what, strerrorname_np(errno));
		exit(1);
	}
}
#define MUST(call) must(#call, call)

static void touch(const char *name, mode_t mode) {
	int fd = open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
	MUST(fd);
	MUST(fchmod(fd, mode));
	close(fd);
}

static struct stat look(const char *name) {
	struct stat st;
	MUST(lstat(name, &st));
	return st;
}

static const char *const kinds[] = {"file", "directory", "link", "fifo"};

// more reports whether a loop continues: until the time is over and, on a loaded machine,
// for up to a minute until it has done enough.
static int more(double end, long done, long enough) {
	return now() < end || (done < enough && now() < end + 60);
}

// Owners change only to pairs of ids, so every reader must see a pair.
static void give_pairs(int seed) {
	for (double end = now() + seconds; now() < end; seed = seed % 60000 + 7)
		for (int k = 0; k < 4; k++)
			MUST(lchown(kinds[k], seed, seed + offset));
}

static void see_pairs(int way) {
	long bad = 0, seen = 0;
	int fds[4];
	for (int k = 0; k < 4; k++)
		MUST(fds[k] = open(kinds[k], O_PATH | O_NOFOLLOW));
	int file = open("file", O_RDONLY);
	MUST(file);
	for (double end = now() + seconds; more(end, seen, 100); way++)
		for (int k = 0; k < 4; k++) {
			struct stat st;
			struct statx sx;
			switch (way % 5) {
			case 0: MUST(lstat(kinds[k], &st)); break;
			case 1: MUST(fstat(fds[k], &st)); break;
			case 2: MUST(fstatat(fds[k], "", &st, AT_EMPTY_PATH)); break;
			case 3:
				MUST(statx(AT_FDCWD, kinds[k], AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &sx));
				st.st_uid = sx.stx_uid, st.st_gid = sx.stx_gid;
				break;
			case 4: MUST(fstat(file, &st)); break;
			}
			seen++;
			if (st.st_gid != st.st_uid + offset && bad++ < 5)
				printf("%s: %u:%u is no pair\n", kinds[k], st.st_uid, st.st_gid);
		}
	if (seen < 100)
		printf("looked only %ld times\n", seen), bad++;
	exit(bad != 0);
}

// A process that alone changes one of the ids must always find its own value there.
static void change_one(int group) {
	unsigned n = 1;
	for (double end = now() + seconds; now() < end; n = n % 60000 + 1)
		for (int k = 0; k < 4; k++) {
			char name[32];
			sprintf(name, "one-%s", kinds[k]);
			MUST(group ? lchown(name, -1, n) : lchown(name, n, -1));
			struct stat st = look(name);
			if ((group ? st.st_gid : st.st_uid) != n) {
				printf("%s: %u:%u, want %s %u\n", name, st.st_uid, st.st_gid, group ? "group" : "owner", n);
				exit(1);
			}
		}
}

static volatile int *stop;

static pid_t exchanger(const char *a, const char *b) {
	pid_t pid = fork();
	if (pid == 0) {
		while (!*stop)
			MUST(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE));
		_exit(0);
	}
	return pid;
}

// The kernel clears the set-user-ID bit of the file whose owner it changes: that must be
// the file that has the new owner, although two files are exchanged.
static void exchange_files(void) {
	long n = 0;
	touch("x-a", 0644);
	touch("x-b", 0644);
	pid_t pid = exchanger("x-a", "x-b");
	int a = open("x-a", O_RDWR), b = a;
	struct stat first, second;
	MUST(fstat(a, &first));
	do { // the other one
		MUST(b = open("x-a", O_RDWR));
		MUST(fstat(b, &second));
	} while (second.st_ino == first.st_ino && (close(b), 1));
	for (double end = now() + seconds; more(end, n, 10); n++) {
		MUST(fchown(a, 0, 0));
		MUST(fchown(b, 0, 0));
		MUST(fchmod(a, 04755));
		MUST(fchmod(b, 04755));
		MUST(chown("x-a", 42, 43));
		MUST(fstat(a, &first));
		MUST(fstat(b, &second));
		int given[2] = {first.st_uid == 42 && first.st_gid == 43, second.st_uid == 42 && second.st_gid == 43};
		int cleared[2] = {!(first.st_mode & S_ISUID), !(second.st_mode & S_ISUID)};
		if (given[0] + given[1] != 1 || given[0] != cleared[0] || given[1] != cleared[1]) {
			printf("exchanged: %u:%u %o and %u:%u %o\n", first.st_uid, first.st_gid, first.st_mode, second.st_uid, second.st_gid, second.st_mode);
			*stop = 1;
			exit(1);
		}
	}
	*stop = 1;
	waitpid(pid, NULL, 0);
	exit(n < 10);
}

// A file that a user creates gets the group of its directory, although two directories are
// exchanged. Exactly one file is created, and it belongs to the user.
static void exchange_directories(void) {
	int parents[2];
	const gid_t groups[2] = {501, 502};
	const char *names[2] = {"x-d", "x-e"};
	for (int i = 0; i < 2; i++) {
		MUST(mkdir(names[i], 0777));
		MUST(chown(names[i], 0, groups[i]));
		MUST(chmod(names[i], 02777));
		MUST(parents[i] = open(names[i], O_RDONLY | O_DIRECTORY));
	}
	pid_t pid = exchanger("x-d", "x-e");
	int status = 1;
	pid_t maker = fork();
	if (maker == 0) {
		MUST(setresgid(1001, 1001, 1001));
		MUST(setresuid(1000, 1000, 1000));
		for (double end = now() + seconds; now() < end;)
			for (int kind = 0; kind < 4; kind++) {
				switch (kind) {
				case 0: MUST(mkdir("x-d/new", 0755)); break;
				case 1: MUST(mknod("x-d/new", S_IFIFO | 0644, 0)); break;
				case 2: MUST(symlink("target", "x-d/new")); break;
				case 3: MUST(close(open("x-d/new", O_CREAT | O_EXCL | O_WRONLY, 0644))); break;
				}
				int made = 0;
				for (int i = 0; i < 2; i++) {
					struct stat st;
					if (fstatat(parents[i], "new", &st, AT_SYMLINK_NOFOLLOW) < 0)
						continue;
					made++;
					if (st.st_uid != 1000 || st.st_gid != groups[i]) {
						printf("made in group %u: %u:%u\n", groups[i], st.st_uid, st.st_gid);
						_exit(1);
					}
					MUST(unlinkat(parents[i], "new", kind == 0 ? AT_REMOVEDIR : 0));
				}
				if (made != 1) {
					printf("%d were made, want 1\n", made);
					_exit(1);
				}
			}
		fflush(stdout);
		_exit(0);
	}
	waitpid(maker, &status, 0);
	*stop = 1;
	waitpid(pid, NULL, 0);
	exit(status != 0);
}

// A new file inherits nothing from a removed one, although it may have its inode number.
static void reuse(int me) {
	char name[32], other[32];
	sprintf(name, "r-%d", me);
	sprintf(other, "s-%d", me);
	for (double end = now() + seconds; now() < end;)
		for (int kind = 0; kind < 3; kind++) {
			switch (kind) {
			case 0: touch(name, 0644); break;
			case 1: MUST(mkfifo(name, 0644)); break;
			case 2: MUST(symlink("target", name)); break;
			}
			struct stat st = look(name);
			if (st.st_uid != 0 || st.st_gid != 0) {
				printf("new: %u:%u\n", st.st_uid, st.st_gid);
				exit(1);
			}
			MUST(lchown(name, 77, 78));
			MUST(link(name, other));
			MUST(unlink(name));
			st = look(other);
			if (st.st_uid != 77 || st.st_gid != 78) {
				printf("its other name: %u:%u\n", st.st_uid, st.st_gid);
				exit(1);
			}
			MUST(unlink(other));
		}
}

static int any;

static void children(void) {
	int status;
	while (wait(&status) > 0)
		any |= status;
}

int main(int argc, char **argv) {
	if (argc != 2)
		return 2;
	seconds = atof(argv[1]) / 4;
	setvbuf(stdout, NULL, _IOLBF, 0);
	stop = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int one = 0; one < 2; one++) {
		char name[4][32];
		for (int k = 0; k < 4; k++)
			sprintf(name[k], "%s%s", one ? "one-" : "", kinds[k]);
		touch(name[0], 0644);
		MUST(mkdir(name[1], 0755));
		MUST(symlink("target", name[2]));
		MUST(mkfifo(name[3], 0644));
	}
	for (int k = 0; k < 4; k++)
		MUST(lchown(kinds[k], 1, 1 + offset));
	for (int i = 0; i < 8; i++)
		if (fork() == 0) {
			if (i % 2)
				give_pairs(i);
			else
				see_pairs(i / 2);
			exit(0);
		}
	children();
	for (int group = 0; group < 2; group++)
		if (fork() == 0) {
			change_one(group);
			exit(0);
		}
	for (int i = 0; i < 4; i++)
		if (fork() == 0) {
			reuse(i);
			exit(0);
		}
	children();
	if (fork() == 0)
		exchange_files();
	children();
	*stop = 0;
	if (fork() == 0)
		exchange_directories();
	children();
	return any != 0;
}
