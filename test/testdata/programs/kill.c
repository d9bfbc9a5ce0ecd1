// Permission to send signals. The signal is ignored by default, so that a mistake here does
// not end processes that the test did not start.
#include "call.h"
#include "ids.h"

#define SIG SIGURG

static struct child target, members[4];
static int pidfd, directory;

static void pend(void) {
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIG);
	must(sigprocmask(SIG_BLOCK, &set, NULL));
}

// tell prints whether the signal has arrived.
static void tell(void) {
	sigset_t set;
	must(sigpending(&set));
	printf("  uid %d: %s\n", getuid(), sigismember(&set, SIG) ? "signalled" : "not signalled");
}

static void nothing(void) {}

static void every_way(void) {
	pid_t pid = target.pid;
	siginfo_t info = {.si_signo = SIG, .si_code = SI_QUEUE};
	CALL(kill(pid, 0));
	CALL(kill(pid, SIG));
	CALL(kill(pid, SIGCONT));
	CALL(kill(pid, 65));
	CALL(kill(pid, -1));
	CALL(syscall(SYS_tkill, pid, SIG));
	CALL(syscall(SYS_tkill, 0, SIG));
	CALL(syscall(SYS_tkill, -1, SIG));
	CALL(syscall(SYS_tgkill, pid, pid, SIG));
	CALL(syscall(SYS_tgkill, getpid(), pid, SIG));
	CALL(syscall(SYS_tgkill, pid, 0, SIG));
	CALL(syscall(SYS_tgkill, pid, pid, 65));
	CALL(syscall(SYS_rt_sigqueueinfo, pid, SIG, &info));
	CALL(syscall(SYS_rt_sigqueueinfo, pid, SIG, NULL));
	CALL(syscall(SYS_rt_sigqueueinfo, 0, SIG, &info));
	CALL(syscall(SYS_rt_tgsigqueueinfo, pid, pid, SIG, &info));
	CALL(syscall(SYS_rt_tgsigqueueinfo, pid, pid, SIG, 1));
	CALL(syscall(SYS_pidfd_send_signal, pidfd, SIG, NULL, 0));
	CALL(syscall(SYS_pidfd_send_signal, pidfd, SIG, &info, 0));
	CALL(syscall(SYS_pidfd_send_signal, pidfd, SIGUSR1, &info, 0));
	CALL(syscall(SYS_pidfd_send_signal, pidfd, SIG, 1, 0));
	CALL(syscall(SYS_pidfd_send_signal, pidfd, SIG, NULL, 0x100));
	CALL(syscall(SYS_pidfd_send_signal, pidfd, 65, NULL, 0));
	CALL(syscall(SYS_pidfd_send_signal, directory, SIG, NULL, 0));
	CALL(syscall(SYS_pidfd_send_signal, 0, SIG, NULL, 0));
	info.si_code = SI_USER;
	CALL(syscall(SYS_rt_sigqueueinfo, pid, SIG, &info));
	CALL(kill(getpid(), 0));
	CALL(syscall(SYS_tgkill, getpid(), gettid(), 0));
}

static void pairs(void) {
	static const struct someone people[] = {
		{0, 0, 0}, {21000, 21000, 21000}, {22000, 22000, 22000}, {21000, 22000, 0}, {0, 21000, 21000}, {21000, 0, 23000},
	};
	const size_t n = sizeof(people) / sizeof(*people);
	for (size_t to = 0; to < n; to++)
		for (size_t from = 0; from < n; from++)
			for (int group = -2; group < 0; group++) {
				char path[64];
				struct someone s = people[from], t = people[to];
				printf("from %d,%d,%d to %d,%d,%d %s\n", s.real, s.effective, s.saved, t.real, t.effective, t.saved,
					group == -2 ? "of another session" : "");
				target = start(t, group, nothing);
				pidfd = must(syscall(SYS_pidfd_open, target.pid, 0));
				snprintf(path, sizeof(path), "/proc/%d", target.pid);
				directory = must(open(path, O_RDONLY));
				finish(start(s, -1, every_way));
				close(pidfd);
				close(directory);
				finish(target);
			}
}

static void signal_group(void) { CALL(kill(-members[0].pid, SIG)); }
static void signal_own_group(void) { CALL(kill(0, SIG)); }
static void signal_everybody(void) { CALL(kill(-1, SIG)); }
static void no_such(void) {
	CALL(kill(-target.pid, SIG));
	CALL(kill(target.pid, SIG));
	CALL(kill(target.pid, 65));
	CALL(kill(-2147483647 - 1, SIG));
	CALL(syscall(SYS_tkill, target.pid, SIG));
	CALL(syscall(SYS_pidfd_send_signal, pidfd, SIG, NULL, 0));
}

static void as_group(uid_t sender, const uid_t *uids, int n, int inside, void (*f)(void)) {
	struct someone s = {sender, sender, sender};
	printf("from %d to a group of", sender);
	for (int i = 0; i < n; i++)
		printf(" %d", uids[i]);
	printf("\n");
	for (int i = 0; i < n; i++) {
		struct someone m = {uids[i], uids[i], uids[i]};
		members[i] = start(m, i ? members[0].pid : 0, tell);
	}
	finish(start(s, inside ? members[0].pid : -1, f));
	for (int i = n - 1; i >= 0; i--) // the leader last
		finish(members[i]);
}

// leaderless sends a signal to a group whose leader has ended.
static void leaderless(uid_t sender, uid_t uid) {
	struct someone s = {sender, sender, sender}, m = {uid, uid, uid};
	printf("from %d to a group of %d without leader\n", sender, uid);
	members[0] = start(m, 0, tell);
	members[1] = start(m, members[0].pid, tell);
	finish(members[0]);
	finish(start(s, -1, signal_group));
	finish(members[1]);
}

int main(void) {
	static const uid_t mixed[] = {22000, 21000, 0, 21000}, same[] = {21000, 21000}, others[] = {22000, 0};
	struct someone user = {21000, 21000, 21000};
	must(setsid() < 0 && errno != EPERM ? -1 : 0);
	pairs();
	pend();
	as_group(21000, mixed, 4, 0, signal_group);
	as_group(21000, same, 2, 0, signal_group);
	as_group(21000, others, 2, 0, signal_group);
	as_group(0, mixed, 4, 0, signal_group);
	as_group(21000, mixed, 4, 1, signal_own_group);
	as_group(21000, same, 2, 1, signal_own_group);
	as_group(21000, others, 2, 1, signal_own_group);
	as_group(21000, mixed, 4, 0, signal_everybody);
	as_group(21000, same, 2, 0, signal_everybody);
	as_group(24000, mixed, 4, 0, signal_everybody);
	leaderless(21000, 21000);
	leaderless(21000, 22000);
	target = start(user, 0, nothing);
	pidfd = must(syscall(SYS_pidfd_open, target.pid, 0));
	finish(target);
	finish(start(user, -1, no_such));
	return 0;
}
