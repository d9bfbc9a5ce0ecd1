// execve(2) of set-id files, of files with capabilities, and of scripts: the credentials
// of the new program.
#include "call.h"
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sys/xattr.h>

static void capabilities(void) {
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];
	must(syscall(SYS_capget, &head, data));
	// The full set of root differs from machine to machine, so it is printed as "all".
	const char *all = getenv("ALL");
	if (!all) {
		static char value[16];
		sprintf(value, "%x", data[0].permitted);
		must(setenv("ALL", all = value, 1));
	}
	for (int set = 0; set < 3; set++) {
		uint32_t lo = set == 0 ? data[0].effective : set == 1 ? data[0].permitted : data[0].inheritable;
		char value[16];
		sprintf(value, "%x", lo);
		printf(" %s", strcmp(value, all) ? value : "all");
	}
}

// who prints the credentials of this process.
static void who(void) {
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid, groups[64];
	must(getresuid(&ruid, &euid, &suid));
	must(getresgid(&rgid, &egid, &sgid));
	printf("    %u %u %u %u, %u %u %u %u, groups", ruid, euid, suid, (unsigned)syscall(SYS_setfsuid, -1), rgid, egid, sgid,
	       (unsigned)syscall(SYS_setfsgid, -1));
	int n = must(getgroups(64, groups));
	for (int i = 0; i < n; i++)
		printf(" %u", groups[i]);
	printf(", capabilities");
	capabilities();
	printf(", keep %d\n", prctl(PR_GET_KEEPCAPS));
}

static void copy(const char *to) {
	char buffer[1 << 16];
	ssize_t n;
	int in = must(open("/proc/self/exe", O_RDONLY)), out = must(open(to, O_CREAT | O_EXCL | O_WRONLY, 0700));
	while ((n = must(read(in, buffer, sizeof(buffer)))) > 0)
		must(write(out, buffer, n));
	close(in);
	close(out);
}

static void script(const char *name, const char *interpreter, mode_t mode) {
	int fd = must(open(name, O_CREAT | O_EXCL | O_WRONLY, 0700));
	dprintf(fd, "#! %s who\n", interpreter);
	close(fd);
	must(chmod(name, mode));
}

enum caller { ROOT, USER, EFFECTIVE, SAVED, KEEP, NNP, CALLERS };
static const char *const callers[] = {"root", "user", "effective root", "saved root", "keeps capabilities", "no new privileges"};

static void become(enum caller c) {
	gid_t groups[] = {27, 26};
	must(setgroups(2, groups));
	switch (c) {
	case ROOT:
		return;
	case USER:
	case NNP:
		must(setresgid(1000, 1000, 1000));
		must(setresuid(1000, 1000, 1000));
		if (c == NNP)
			must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
		return;
	case EFFECTIVE:
		must(setresuid(1000, 0, 1000));
		return;
	case SAVED:
		must(setresuid(1000, 1000, 0));
		return;
	case KEEP:
		must(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
		must(setresuid(1000, 1000, 1000));
		return;
	default:
		return;
	}
}

static void run(const char *file) {
	char *argv[] = {"exec", "who", NULL};
	for (enum caller c = 0; c < CALLERS; c++) {
		fflush(stdout);
		pid_t pid = must(fork());
		if (pid == 0) {
			printf("  %s executes %s\n", callers[c], file);
			become(c);
			// A failed call changes nothing.
			execv("./not-there", argv);
			execv("./not-executable", argv);
			who();
			fflush(stdout);
			execv(file, argv);
			printf("    %s\n", strerrorname_np(errno));
			who();
			exit(0);
		}
		int status;
		must(waitpid(pid, &status, 0));
		if (status)
			printf("  status %x\n", status);
	}
}

int main(int argc, char **argv) {
	if (argc > 1) { // also if it is the interpreter of a script
		who();
		return 0;
	}
	static const struct {
		uid_t uid;
		gid_t gid;
		mode_t mode;
	} files[] = {
	    {0, 0, 0755}, {0, 0, 04755}, {33, 0, 04755}, {0, 26, 02755}, {5, 6, 06755}, {5, 6, 06745}, {1000, 1000, 04755}, {0, 0, 06755},
	};
	must(chmod(".", 0755));
	must(setgroups(0, NULL));
	who();
	copy("program");
	must(chmod("program", 0755));
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		must(chown("program", files[i].uid, files[i].gid));
		must(chmod("program", files[i].mode));
		printf("%05o %u:%u\n", files[i].mode, files[i].uid, files[i].gid);
		run("./program");
		script("script", "./program", 06755);
		must(chown("script", 7, 8));
		must(chmod("script", 06755));
		run("./script");
		must(unlink("script"));
	}
	// File capabilities: permitted, then also effective, then together with set-user-ID
	// root.
	must(chown("program", 0, 0));
	must(chmod("program", 0755));
	for (int i = 0; i < 4; i++) {
		uint32_t value[] = {0x02000000 | (i & 1), 1 << CAP_NET_RAW, 0, 0, 0};
		if (i & 2)
			must(chmod("program", 04755));
		must(setxattr("program", "security.capability", value, sizeof(value), 0));
		printf("capabilities %d\n", i);
		run("./program");
	}
	return 0;
}
