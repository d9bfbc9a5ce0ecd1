// Does what walk.js does, in four threads. For compilers that check programs.
#define _GNU_SOURCE
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { THREADS = 4, MAX = 10000 };

static char *names[MAX], *lines[MAX];
static size_t count;
static char directory[] = "/tmp/walkXXXXXX";

#define CHECK(condition)                           \
	do {                                           \
		if (!(condition)) {                        \
			perror(#condition);                    \
			exit(1);                               \
		}                                          \
	} while (0)

static int add(const char *name, const struct stat *st, int type, struct FTW *at) {
	(void)st, (void)type, (void)at;
	CHECK(count < MAX && (names[count++] = strdup(name)));
	return 0;
}

static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static char *show(const char *name) {
	struct stat st;
	char *line;
	CHECK(lstat(name, &st) == 0);
	CHECK(asprintf(&line, "%s %o %u:%u %lu %ld", name, st.st_mode, st.st_uid, st.st_gid, (unsigned long)st.st_rdev, (long)st.st_size) > 0);
	return line;
}

static void change(size_t n) {
	char file[64], moved[72];
	struct stat st;
	snprintf(file, sizeof(file), "%s/%zu", directory, n);
	snprintf(moved, sizeof(moved), "%s-", file);
	FILE *f = fopen(file, "w");
	CHECK(f && fputs("12345", f) >= 0 && fclose(f) == 0);
	CHECK(rename(file, moved) == 0);
	CHECK(stat(moved, &st) == 0 && st.st_size == 5);
	CHECK(unlink(moved) == 0);
}

static void *work(void *part) {
	for (size_t n = (size_t)part; n < count; n += THREADS) {
		char *line = show(names[n]);
		CHECK(strcmp(line, lines[n]) == 0);
		free(line);
		change(n);
	}
	return NULL;
}

int main(void) {
	CHECK(nftw(".", add, 16, FTW_PHYS) == 0);
	qsort(names, count, sizeof(*names), compare);
	for (size_t n = 0; n < count; n++)
		lines[n] = show(names[n]);
	CHECK(mkdtemp(directory));
	pthread_t threads[THREADS];
	for (size_t n = 0; n < THREADS; n++)
		CHECK(pthread_create(&threads[n], NULL, work, (void *)n) == 0);
	for (size_t n = 0; n < THREADS; n++)
		CHECK(pthread_join(threads[n], NULL) == 0);
	CHECK(rmdir(directory) == 0); // which is empty
	for (size_t n = 0; n < count; n++) {
		puts(lines[n]);
		free(names[n]);
		free(lines[n]);
	}
}
