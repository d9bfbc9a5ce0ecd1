// bare runs a command under a supervisor that does nothing: it receives each notification
// and answers it at once.
//
// It is the lower bound for any emulation with seccomp user notification; everything
// beyond it is subuidless's own work. The command runs in a one-id user namespace with the
// filter in a file, which is subuidless's own. The answer to the chown family is 0, and
// to all other calls CONTINUE.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Linux 6.6; Debian 12 has the headers of 6.1.
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

static const int chown_family[] = {
#ifdef __NR_chown
	__NR_chown, __NR_lchown,
#endif
	__NR_fchown, __NR_fchownat,
};

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static void die(const char *what)
{
	fprintf(stderr, "bare: %s: %s\n", what, strerror(errno));
	exit(125);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

static void enter_user_namespace(void)
{
	unsigned uid = geteuid(), gid = getegid();
	char map[64];

	if (unshare(CLONE_NEWUSER) < 0)
		die("unshare(CLONE_NEWUSER)");
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof map, "0 %u 1", uid);
	write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof map, "0 %u 1", gid);
	write_file("/proc/self/gid_map", map);
}

// The namespace's root holds CAP_SYS_ADMIN, so no_new_privs stays unset, as in a container.
static int install_filter(const char *path)
{
	struct sock_filter code[BPF_MAXINSNS];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, code, sizeof code);
	if (size <= 0)
		die(path);
	close(fd);

	struct sock_fprog program = { .len = size / sizeof code[0], .filter = code };
	int listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	if (listener < 0)
		die("seccomp(SECCOMP_FILTER_FLAG_NEW_LISTENER)");
	return listener;
}

// The filter notifies sendmsg(2), so the child sends only the number of its listener. It closes
// the listener in execve(2), which is notified, and waits until the parent has a duplicate.
static void send_number(int sock, int fd)
{
	if (write(sock, &fd, sizeof fd) != sizeof fd)
		die("write");
}

// A child that failed has printed why and closed the socket; there is no number to receive.
static int duplicate(pid_t child, int sock)
{
	int number, pidfd = syscall(SYS_pidfd_open, child, 0);
	if (read(sock, &number, sizeof number) != sizeof number)
		exit(125);
	int fd = syscall(SYS_pidfd_getfd, pidfd, number, 0);
	if (fd < 0)
		die("pidfd_getfd");
	close(pidfd);
	return fd;
}

static int is_chown(int nr)
{
	for (size_t i = 0; i < LEN(chown_family); i++)
		if (nr == chown_family[i])
			return 1;
	return 0;
}

static void *answer(void *arg)
{
	int listener = *(int *)arg;

	for (;;) {
		// The kernel rejects a buffer that is not zeroed.
		struct seccomp_notif notification = { 0 };
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification) < 0) {
			// ENOENT: the task was interrupted, or none is left; EINTR: a signal
			// arrived.
			if (errno == ENOENT || errno == EINTR)
				continue;
			die("SECCOMP_IOCTL_NOTIF_RECV");
		}
		struct seccomp_notif_resp response = {
			.id = notification.id,
			.flags = is_chown(notification.data.nr) ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE,
		};
		int sent;
		do // without the retry, the task would wait forever
			sent = ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
		while (sent < 0 && errno == EINTR);
		if (sent < 0 && errno != ENOENT)
			die("SECCOMP_IOCTL_NOTIF_SEND");
	}
	return NULL;
}

// Waits for the command and for what it left behind, because a task without a supervisor
// would get ENOSYS. It waits for POLLHUP alone, so that notifications do not wake this
// thread.
static int wait_for_all(pid_t command, int listener)
{
	int status;
	while (waitpid(command, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid");
	struct pollfd hang_up = { .fd = listener };
	while (poll(&hang_up, 1, -1) < 0)
		if (errno != EINTR)
			die("poll");
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	int pair[2];

	if (argc < 3) {
		fprintf(stderr, "usage: bare FILTER COMMAND [ARGUMENT...]\n");
		return 2;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		die("socketpair");
	pid_t command = fork();
	if (command < 0)
		die("fork");
	if (command == 0) {
		close(pair[0]);
		enter_user_namespace();
		int listener = install_filter(argv[1]);
		send_number(pair[1], listener);
		execvp(argv[2], argv + 2);
		die(argv[2]);
	}
	close(pair[1]);
	int listener = duplicate(command, pair[0]);
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP) < 0)
		fprintf(stderr, "bare: no SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP before Linux 6.6: slower round trips\n");

	pthread_t thread;
	errno = pthread_create(&thread, NULL, answer, &listener);
	if (errno)
		die("pthread_create");
	return wait_for_all(command, listener);
}
