// The dumpable attribute after execve of programs that change the identity.
#include "call.h"
#include "ids.h"

static const char *const names[] = {"plain", "setuid", "setgid"};

// copy_self makes a copy of this program.
static void copy_self(const char *name, mode_t mode) {
	char buf[65536];
	int from = must(open("/proc/self/exe", O_RDONLY)), to = must(open(name, O_WRONLY | O_CREAT | O_EXCL, 0600)), n;
	while ((n = must(read(from, buf, sizeof(buf)))) > 0)
		must(write(to, buf, n));
	close(from);
	close(to);
	must(chmod(name, mode));
}

// report_self prints what the executed program finds.
static int report_self(void) {
	struct stat st;
	printf("ids %u %u %u %u\n", getuid(), geteuid(), getgid(), getegid());
	CALL(prctl(PR_GET_DUMPABLE));
	must(stat("/proc/self/status", &st));
	printf("owner in /proc %u:%u\n", st.st_uid, st.st_gid);
	CALL(prctl(PR_SET_DUMPABLE, 1));
	CALL(prctl(PR_GET_DUMPABLE));
	must(stat("/proc/self/status", &st));
	printf("owner in /proc %u:%u\n", st.st_uid, st.st_gid);
	CALL(prctl(PR_SET_PDEATHSIG, 0));
	int signal = -1;
	CALL(prctl(PR_GET_PDEATHSIG, &signal));
	printf("pdeathsig %d\n", signal);
	return 0;
}

int main(int argc, char **argv) {
	if (argc > 1)
		return report_self();
	must(chmod(".", 0755));
	copy_self("plain", 0755);
	copy_self("setuid", 04755);
	copy_self("setgid", 02755);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (int user = 0; user <= 21000; user += 21000) {
			printf("%s, as %d\n", names[i], user);
			fflush(stdout);
			pid_t pid = must(fork());
			if (pid == 0) {
				become((struct someone){user, user, user});
				execl(names[i], names[i], "report", NULL);
				must(-1);
			}
			reap(pid);
		}
	return 0;
}
