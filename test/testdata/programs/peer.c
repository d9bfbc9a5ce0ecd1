// The credentials of the peer of a Unix socket.
#include "call.h"
#include "ids.h"
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#define BAD ((void *)1)
#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

static struct sockaddr_un address = {AF_UNIX, "socket"};
static int pair[2];
static pid_t server, client, parent;

static const char *name(pid_t pid) {
	return pid == 0 ? "nobody" : pid == getpid() ? "itself" : pid == parent ? "the parent" : pid == server ? "the server" :
		pid == client ? "the client" : "somebody";
}

static void show_peer(const char *who, int fd) {
	struct ucred cred = {-7, 7, 7};
	socklen_t size = sizeof(cred);
	gid_t groups[8];
	if (CALL(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size)) == 0)
		printf("  %s sees %d:%d, %s (%u)\n", who, cred.uid, cred.gid, name(cred.pid), size);
	size = sizeof(groups);
	if (CALL(getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size)) == 0) {
		printf("  %s sees the groups", who);
		for (unsigned i = 0; i < size / sizeof(*groups); i++)
			printf(" %d", groups[i]);
		printf("\n");
	}
}

static void odd(int fd) {
	struct ucred cred = {-7, 7, 7};
	gid_t groups[8];
	socklen_t size = 5;
	CALL(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size));
	printf("  %u: %d\n", size, cred.gid);
	size = 100;
	CALL(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size));
	printf("  %u\n", size);
	size = -1;
	CALL(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size));
	size = sizeof(cred);
	CALL(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, BAD, &size));
	CALL(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, BAD));
	CALL(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, read_only(), &size));
	size = 4;
	CALL(getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size));
	printf("  %u\n", size);
	CALL(getsockopt(fd, IPPROTO_IP, SO_PEERCRED, &cred, &size));
	CALL(getsockopt(0x7fff, SOL_SOCKET, SO_PEERCRED, &cred, &size));
	CALL(getsockopt(must(open(".", O_RDONLY)), SOL_SOCKET, SO_PEERCRED, &cred, &size));
	size = sizeof(cred);
	CALL(getsockopt(must(socket(AF_INET, SOCK_STREAM, 0)), SOL_SOCKET, SO_PEERCRED, &cred, &size));
	printf("  %d:%d, %s\n", cred.uid, cred.gid, name(cred.pid));
	CALL(getsockopt(must(socket(AF_UNIX, SOCK_STREAM, 0)), SOL_SOCKET, SO_PEERCRED, &cred, &size));
	printf("  %d:%d, %s\n", cred.uid, cred.gid, name(cred.pid));
}

static void own_pair(void) {
	int fds[2];
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	show_peer("a user, of its own pair,", fds[0]);
	show_peer("a user, of its parent's pair,", pair[0]);
}

static void become_with_groups(void) {
	static const gid_t groups[] = {5, 3, 4};
	must(syscall(SETGROUPS, 3, groups));
	must(syscall(SETRESGID, 21001, 21002, 21003));
	must(syscall(SETRESUID, 21004, 21005, 0));
}

// serve accepts one client and prints its credentials.
static void serve(void) {
	int listening = must(socket(AF_UNIX, SOCK_STREAM, 0)), fd;
	char byte;
	server = getpid();
	must(bind(listening, (struct sockaddr *)&address, sizeof(address)));
	must(chmod("socket", 0777));
	must(listen(listening, 1));
	fd = must(accept(listening, NULL, NULL));
	must(read(fd, &client, sizeof(client)) - 1);
	show_peer("the server", fd);
	odd(fd);
	show_peer("the server, of its listening socket,", listening);
	must(unlink("socket"));
	fflush(stdout);
	must(write(fd, &server, sizeof(server)));
	must(read(fd, &byte, 1));
}

static void ask(void) {
	int fd = must(socket(AF_UNIX, SOCK_STREAM, 0));
	client = getpid();
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		usleep(1000); // until the server listens
	must(write(fd, &client, sizeof(client)));
	must(read(fd, &server, sizeof(server)) - 1);
	show_peer("the client", fd);
}

static void ask_with_groups(void) {
	become_with_groups();
	ask();
}

static void between(uid_t server_uid, uid_t client_uid, void (*f)(void)) {
	struct someone s = {server_uid, server_uid, server_uid}, c = {client_uid, client_uid, client_uid};
	struct child serving = start(s, -1, serve), asking = start(c, -1, f);
	printf("server %d, client %d\n", server_uid, client_uid);
	go_on(serving);
	finish(asking);
	await(serving);
}

int main(void) {
	struct someone user = {21000, 21000, 21000};
	parent = getpid();
	must(syscall(SETGROUPS, 0, NULL));
	must(chmod(".", 0777));
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	show_peer("root", pair[1]);
	finish(start(user, -1, own_pair));
	between(21000, 22000, ask);
	between(0, 22000, ask);
	between(21000, 0, ask);
	between(0, 0, ask);
	between(22000, 0, ask_with_groups);
	return 0;
}
