// Owners in the options of mounts, in memory that can be written and in constants.
#include "call.h"
#include <sched.h>
#include <sys/mount.h>

static void try(const char *type, const char *options) {
	CALL(mount("none", "dir", type, 0, options));
	struct stat st;
	must(stat("dir", &st));
	printf("  %s: mode %o\n", type, st.st_mode);
	if (umount("dir"))
		printf("  umount: %s\n", strerrorname_np(errno));
}

int main(void) {
	char heap[] = "uid=5,gid=6,mode=711";
	must(mkdir("dir", 0755));
	must(unshare(CLONE_NEWNS));
	must(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	try("tmpfs", heap);
	try("tmpfs", heap);
	for (int i = 0; i < 2; i++) { // the same constants twice
		try("tmpfs", "uid=5,gid=6,mode=711");
		try("tmpfs", "mode=700,gid=42");
		try("devpts", "newinstance,gid=5,mode=620,ptmxmode=0666");
		try("tmpfs", "uid=5,nonsense");
	}
	return 0;
}
