// System V IPC: who may look up, use, change and remove objects, and who owns them.
#include "call.h"
#include "ids.h"
#include <sys/fsuid.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>

enum { SHM, SEM, MSG };
static const char *kinds[] = {"shm", "sem", "msg"};

#ifdef DIRECT
#define shmget(...) (int)syscall(SYS_shmget, __VA_ARGS__)
#define shmctl(...) (int)syscall(SYS_shmctl, __VA_ARGS__)
#define shmat(...) (void *)syscall(SYS_shmat, __VA_ARGS__)
#define semget(...) (int)syscall(SYS_semget, __VA_ARGS__)
#define semctl(...) (int)syscall(SYS_semctl, __VA_ARGS__)
#define semop(...) (int)syscall(SYS_semtimedop_time64, __VA_ARGS__, NULL)
#define semtimedop semtimedop_time64
#define msgget(...) (int)syscall(SYS_msgget, __VA_ARGS__)
#define msgctl(...) (int)syscall(SYS_msgctl, __VA_ARGS__)
#define msgsnd(...) (int)syscall(SYS_msgsnd, __VA_ARGS__)
#define msgrcv(...) (int)syscall(SYS_msgrcv, __VA_ARGS__)
#endif

#ifdef DIRECT
static int semtimedop_time64(int id, struct sembuf *s, size_t count, const struct timespec *t) {
	int64_t time[2];
	if ((uintptr_t)t > 8) {
		time[0] = t->tv_sec, time[1] = t->tv_nsec;
		t = (void *)time;
	}
	return syscall(SYS_semtimedop_time64, id, s, count, t);
}
#endif

#define KEY 0x5b1d
#define SIZE 8192

static int get(int kind, key_t key, int flags) {
	switch (kind) {
	case SHM:
		return shmget(key, SIZE, flags);
	case SEM:
		return semget(key, 3, flags);
	}
	return msgget(key, flags);
}

union status {
	struct shmid_ds shm;
	struct semid_ds sem;
	struct msqid_ds msg;
	struct ipc_perm perm; // the first field of each
};

static int ctl(int kind, int id, int cmd, union status *s) {
	switch (kind) {
	case SHM:
		return shmctl(id, cmd, &s->shm);
	case SEM:
		return semctl(id, 0, cmd, s);
	}
	return msgctl(id, cmd, &s->msg);
}

// expect prints a result without ids of objects, which differ.
static void expect(int kind, const char *what, long result) {
	printf("  %s %s: %s\n", kinds[kind], what, result < 0 ? strerrorname_np(errno) : "ok");
}

static void show_perm(int kind, int id, const char *what) {
	union status s;
	if (ctl(kind, id, IPC_STAT, &s) < 0) {
		printf("  %s %s: %s\n", kinds[kind], what, strerrorname_np(errno));
		return;
	}
	printf("  %s %s: %u:%u created by %u:%u mode %o", kinds[kind], what,
		s.perm.uid, s.perm.gid, s.perm.cuid, s.perm.cgid, s.perm.mode);
	if (kind == SHM)
		printf(" size %zu attached %lu", s.shm.shm_segsz, (unsigned long)s.shm.shm_nattch);
	if (kind == SEM)
		printf(" %lu semaphores", (unsigned long)s.sem.sem_nsems);
	if (kind == MSG)
		printf(" %lu messages, at most %lu bytes", (unsigned long)s.msg.msg_qnum, (unsigned long)s.msg.msg_qbytes);
	printf("\n");
}

static int set(int kind, int id, uid_t uid, gid_t gid, int mode) {
	union status s;
	memset(&s, 0, sizeof s);
	s.perm.uid = uid;
	s.perm.gid = gid;
	s.perm.mode = mode;
	s.msg.msg_qbytes = kind == MSG ? 4096 : s.msg.msg_qbytes;
	return ctl(kind, id, IPC_SET, &s);
}

static int objects[3];

static long attach(int id, int flags) {
	void *p = shmat(id, NULL, flags);
	if (p == (void *)-1)
		return -1;
	return shmdt(p);
}

static long alter(int id, int op, int num) {
	struct sembuf s[2] = {{0, 0, IPC_NOWAIT}, {num, op, IPC_NOWAIT}};
	return semop(id, s, 2);
}

// timed calls semtimedop, whose errors have an order.
static void timed(int id) {
	struct sembuf up = {0, 1, IPC_NOWAIT}, missing = {9, 1, IPC_NOWAIT};
	static const struct { const char *what; struct timespec t; } timeouts[] = {
		{"a second", {1, 0}}, {"negative", {-1, 0}}, {"negative fraction", {0, -1}}, {"fraction too large", {0, 1000000000}},
	};
	for (size_t i = 0; i < sizeof timeouts / sizeof *timeouts; i++) {
		printf("  timeout: %s\n", timeouts[i].what);
		expect(SEM, "alter", semtimedop(id, &up, 1, &timeouts[i].t));
		expect(SEM, "alter a missing one", semtimedop(id, &missing, 1, &timeouts[i].t));
		expect(SEM, "alter nothing", semtimedop(id, &up, 0, &timeouts[i].t));
		expect(SEM, "alter too much", semtimedop(id, &up, 100000, &timeouts[i].t));
		expect(SEM, "bad pointer", semtimedop(id, (void *)8, 1, &timeouts[i].t));
		expect(SEM, "too many at a bad pointer", semtimedop(id, (void *)8, 100000, &timeouts[i].t));
		expect(SEM, "alter none", semtimedop(-1, &up, 1, &timeouts[i].t));
	}
#ifndef COPIES
	expect(SEM, "bad timeout", semtimedop(id, &up, 1, (void *)8));
	expect(SEM, "bad timeout, too much", semtimedop(id, &up, 100000, (void *)8));
	expect(SEM, "bad timeout of nothing", semtimedop(id, &up, 0, (void *)8));
#endif
	expect(SEM, "alter without a timeout", semtimedop(id, &up, 1, NULL));
}

struct message { long type; char text[16]; };

// use does all that needs permissions.
static void use(void) {
	struct message m = {1, "text"};
	unsigned short values[3] = {0};
	int id;
	union status s;
	for (int kind = SHM; kind <= MSG; kind++) {
		id = objects[kind];
		expect(kind, "get, no permission", get(kind, KEY, 0));
		expect(kind, "get, read", get(kind, KEY, 0444));
		expect(kind, "get, write", get(kind, KEY, 0200));
		expect(kind, "get, both", get(kind, KEY, 0660));
		expect(kind, "get or create", get(kind, KEY, IPC_CREAT | 0600));
		expect(kind, "create", get(kind, KEY, IPC_CREAT | IPC_EXCL | 0600));
		show_perm(kind, id, "status");
	}
	id = objects[SHM];
	expect(SHM, "too large", shmget(KEY, 2 * SIZE, 0600));
	expect(SHM, "attach", attach(id, 0));
	expect(SHM, "attach, read only", attach(id, SHM_RDONLY));
	expect(SHM, "attach, exec", attach(id, SHM_RDONLY | SHM_EXEC));
	expect(SHM, "attach, remap nowhere", attach(id, SHM_REMAP));
	expect(SHM, "attach at a bad address", (long)shmat(id, (void *)0x1001, 0));
	expect(SHM, "lock", ctl(SHM, id, SHM_LOCK, &s));
	expect(SHM, "unlock", ctl(SHM, id, SHM_UNLOCK, &s));
	id = objects[SEM];
	expect(SEM, "too many", semget(KEY, 4, 0600));
	expect(SEM, "alter", alter(id, 1, 0));
	expect(SEM, "alter back", alter(id, -1, 1));
	expect(SEM, "alter a missing one", alter(id, 1, 3));
	expect(SEM, "wait for zero", alter(id, 0, 2));
	expect(SEM, "wait for a missing one", alter(id, 0, 3));
	expect(SEM, "nothing", semop(id, NULL, 0));
	expect(SEM, "bad pointer", semop(id, (void *)8, 1));
	timed(id);
	expect(SEM, "GETVAL", semctl(id, 0, GETVAL));
	expect(SEM, "GETVAL of a missing one", semctl(id, 7, GETVAL));
	expect(SEM, "GETALL", semctl(id, 0, GETALL, values));
	expect(SEM, "GETPID", semctl(id, 0, GETPID));
	expect(SEM, "GETNCNT", semctl(id, 0, GETNCNT));
	expect(SEM, "GETZCNT", semctl(id, 0, GETZCNT));
	expect(SEM, "SETVAL", semctl(id, 0, SETVAL, 1));
	expect(SEM, "SETVAL of a missing one", semctl(id, 3, SETVAL, 1));
	expect(SEM, "SETVAL, too high", semctl(id, 3, SETVAL, 1 << 15));
	expect(SEM, "SETVAL, negative", semctl(id, 3, SETVAL, -1));
	expect(SEM, "SETALL", semctl(id, 0, SETALL, values));
	id = objects[MSG];
	expect(MSG, "send", msgsnd(id, &m, sizeof m.text, IPC_NOWAIT));
	expect(MSG, "receive", msgrcv(id, &m, sizeof m.text, 0, IPC_NOWAIT));
	expect(MSG, "receive, negative size", msgrcv(id, &m, -1, 0, IPC_NOWAIT));
	expect(MSG, "copy", msgrcv(id, &m, sizeof m.text, 0, IPC_NOWAIT | MSG_COPY));
	expect(MSG, "copy, bad pointer", msgrcv(id, (void *)8, sizeof m.text, 0, IPC_NOWAIT | MSG_COPY));
	expect(MSG, "copy, end of memory", msgrcv(id, end_of_page() - 8, 8, 0, IPC_NOWAIT | MSG_COPY));
	expect(MSG, "copy, too little memory", msgrcv(id, end_of_page() - 8, 9, 0, IPC_NOWAIT | MSG_COPY));
	expect(MSG, "copy, waiting", msgrcv(id, (void *)8, sizeof m.text, 0, MSG_COPY));
	expect(MSG, "send, bad pointer", msgsnd(id, (void *)8, 1, IPC_NOWAIT));
	expect(MSG, "send, bad text", msgsnd(id, end_of_page() - sizeof(long), 1, IPC_NOWAIT));
	expect(MSG, "send, too long", msgsnd(id, &m, 1 << 24, IPC_NOWAIT));
	m.type = 0;
	expect(MSG, "send, bad type", msgsnd(id, &m, 1, IPC_NOWAIT));
}

// manage does what only the owner may do.
static void manage(void) {
	for (int kind = SHM; kind <= MSG; kind++) {
		int id = objects[kind];
		expect(kind, "set to -1", set(kind, id, -1, 0, 0600));
#ifndef COPIES // glibc copies the structure
		expect(kind, "set, bad pointer", ctl(kind, id, IPC_SET, (void *)8));
		expect(kind, "status, bad pointer", ctl(kind, id, IPC_STAT, (void *)8));
#endif
		expect(kind, "set", set(kind, id, 1007, 1008, 0640));
		show_perm(kind, id, "then");
		expect(kind, "remove", ctl(kind, id, IPC_RMID, NULL));
		expect(kind, "remove again", ctl(kind, id, IPC_RMID, NULL));
		show_perm(kind, id, "removed");
	}
}

static void use_and_manage(void) {
	use();
	manage();
}

static const struct someone root, alice = {1001, 1001, 1001}, bob = {1002, 1002, 1002},
	nobody = {65534, 65534, 65534}, back = {0, 1001, 0}, real = {1001, 1002, 1001};

static int mode;

static void create(void) {
	for (int kind = SHM; kind <= MSG; kind++) {
		objects[kind] = get(kind, KEY, IPC_CREAT | IPC_EXCL | mode);
		expect(kind, "create", objects[kind]);
		show_perm(kind, objects[kind], "status");
	}
}

static void find(void) {
	for (int kind = SHM; kind <= MSG; kind++)
		objects[kind] = must(get(kind, KEY, 0));
}

static void give(void) {
	for (int kind = SHM; kind <= MSG; kind++)
		expect(kind, "give to 1002:1005", set(kind, objects[kind], 1002, 1005, mode));
}

static void use_by_fsgid(void) {
	setfsgid(1002); // the caller keeps no right to that
	use();
}

// each runs f as several users on new objects.
static void each(struct someone creator, void (*f)(void), int given) {
	static const struct { const char *name; const struct someone *s; gid_t group; } users[] = {
		{"root", &root, 0}, {"alice", &alice, 0}, {"bob", &bob, 0}, {"bob in group 1001", &bob, 1001},
		{"nobody", &nobody, 0}, {"nobody in group 1005", &nobody, 1005},
		{"root as alice", &back, 0}, {"alice as bob", &real, 0},
	};
	for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
		run_as("creator", creator, 0, create);
		find();
		if (given)
			give();
		run_as(users[i].name, *users[i].s, users[i].group, f);
		for (int kind = SHM; kind <= MSG; kind++)
			ctl(kind, objects[kind], IPC_RMID, NULL);
	}
}

static void private(void) {
	for (int kind = SHM; kind <= MSG; kind++) {
		int id = get(kind, IPC_PRIVATE, 0640);
		show_perm(kind, id, "private");
		union status s;
		must(ctl(kind, id, IPC_STAT, &s));
		if (kind == SHM)
			printf("  created by this process: %d\n", s.shm.shm_cpid == getpid());
		expect(kind, "remove", ctl(kind, id, IPC_RMID, NULL));
	}
	expect(SHM, "too small", shmget(IPC_PRIVATE, 0, 0600));
	expect(SHM, "too large", shmget(IPC_PRIVATE, -1, 0600));
	expect(SEM, "none", semget(IPC_PRIVATE, 0, 0600));
	expect(SEM, "negative", semget(IPC_PRIVATE, -1, 0600));
	expect(SEM, "missing", semget(KEY + 1, 1, 0600));
	expect(MSG, "missing, exclusive", msgget(KEY + 1, IPC_EXCL | 0600));
}

// indexes looks objects up by index.
static void indexes(void) {
	static const int stat[] = {SHM_STAT, SEM_STAT, MSG_STAT}, any[] = {SHM_STAT_ANY, SEM_STAT_ANY, MSG_STAT_ANY};
	union status s;
	for (int kind = SHM; kind <= MSG; kind++) {
		int id = ctl(kind, objects[kind] & 0x7fff, stat[kind], &s);
		expect(kind, "STAT", id);
		if (id >= 0)
			printf("  %s the same object %d: %u:%u %o\n", kinds[kind], id == objects[kind], s.perm.uid, s.perm.gid, s.perm.mode);
		id = ctl(kind, objects[kind] & 0x7fff, any[kind], &s);
		expect(kind, "STAT_ANY", id);
		if (id >= 0)
			printf("  %s the same object %d: %u:%u %o\n", kinds[kind], id == objects[kind], s.perm.uid, s.perm.gid, s.perm.mode);
	}
}

static void limits(void) {
	struct rlimit none = {0, 0};
	union status s;
	must(setrlimit(RLIMIT_MEMLOCK, &none));
	if (geteuid() != 0) // Root could lock more than the limit, on a host.
		expect(SHM, "lock without a limit", ctl(SHM, objects[SHM], SHM_LOCK, &s));
	expect(SHM, "unlock without a limit", ctl(SHM, objects[SHM], SHM_UNLOCK, &s));
	memset(&s, 0, sizeof s);
	s.msg.msg_perm.mode = 0600;
	s.msg.msg_qbytes = 1 << 20;
	expect(MSG, "more bytes", ctl(MSG, objects[MSG], IPC_SET, &s));
	show_perm(MSG, objects[MSG], "then");
	s.msg.msg_qbytes = 100;
	expect(MSG, "fewer bytes", ctl(MSG, objects[MSG], IPC_SET, &s));
	show_perm(MSG, objects[MSG], "then");
}

// A removed segment exists until the last process detaches it.
static void removed(void) {
	int id = must(get(SHM, IPC_PRIVATE, 0600));
	void *p = shmat(id, NULL, 0);
	expect(SHM, "remove", ctl(SHM, id, IPC_RMID, NULL));
	show_perm(SHM, id, "attached");
	must(shmdt(p));
	show_perm(SHM, id, "detached");
}

int main(void) {
	must(unshare(CLONE_NEWIPC));
	printf("before any other user\n");
	mode = 0600;
	create();
	give();
	for (int kind = SHM; kind <= MSG; kind++)
		show_perm(kind, objects[kind], "given");
	run_as("bob", bob, 0, use);
	run_as("bob", bob, 0, indexes);
	run_as("alice", alice, 0, indexes);
	manage();
	static const int modes[] = {0600, 0640, 0604, 0660, 0606, 0007, 0066, 0000};
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		mode = modes[i];
		printf("root's, mode %03o\n", mode);
		each(root, use, 0);
		printf("alice's, mode %03o\n", mode);
		each(alice, use, 0);
		printf("given, mode %03o\n", mode);
		each(alice, use, 1);
	}
	mode = 0660;
	printf("managed, root's\n");
	each(root, use_and_manage, 0);
	printf("managed, alice's\n");
	each(alice, use_and_manage, 0);
	printf("managed, given\n");
	each(alice, manage, 1);
	printf("limits\n");
	each(alice, limits, 0);
	printf("file system group\n");
	run_as("creator", bob, 0, create);
	find();
	run_as("root as alice", back, 0, use_by_fsgid);
	printf("private\n");
	run_as("root", root, 0, private);
	run_as("alice", alice, 0, private);
	run_as("root as alice", back, 0, private);
	run_as("alice", alice, 0, removed);
}
