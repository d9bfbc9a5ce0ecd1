// ipc(2) without IPC_64: structures of Linux 2.2, whose ids have 16 bits.
#include "call.h"
#include "ids.h"
#include <linux/ipc.h>
#include <linux/msg.h>
#include <linux/sem.h>
#include <linux/shm.h>

enum { SHM, SEM, MSG };
static const char *kinds[] = {"shm", "sem", "msg"};

// status has the longest of the structures, and what must stay unchanged behind it.
union status {
	struct shmid_ds shm;
	struct semid_ds sem;
	struct msqid_ds msg;
	struct ipc_perm perm; // the first field of each
	unsigned char bytes[128];
};

static int get(int kind) {
	switch (kind) {
	case SHM:
		return must(syscall(SYS_ipc, SHMGET, IPC_PRIVATE, 8192, 0640, NULL));
	case SEM:
		return must(syscall(SYS_ipc, SEMGET, IPC_PRIVATE, 3, 0640, NULL));
	}
	return must(syscall(SYS_ipc, MSGGET, IPC_PRIVATE, 0640, 0, NULL));
}

static int ctl(int kind, int id, int cmd, void *s) {
	switch (kind) {
	case SHM:
		return syscall(SYS_ipc, SHMCTL, id, cmd, 0, s);
	case SEM:
		return syscall(SYS_ipc, SEMCTL, id, 0, cmd, &s);
	}
	return syscall(SYS_ipc, MSGCTL, id, cmd, 0, s);
}

// show prints a status without times, process ids and the id of the object.
static void show_status(int kind, int id, int cmd, const char *what) {
	union status s;
	memset(&s, 0xee, sizeof(s));
	long r = ctl(kind, id, cmd, &s);
	printf("%s %s: %s", kinds[kind], what, r < 0 ? strerrorname_np(errno) : cmd == IPC_STAT ? "ok" : "an id");
	if (r >= 0)
		printf(", %u:%u created by %u:%u, mode %o", s.perm.uid, s.perm.gid, s.perm.cuid, s.perm.cgid, s.perm.mode);
	switch (r < 0 ? -1 : kind) {
	case SHM:
		printf(", %d bytes, attached %d, recent %d, created by %s", s.shm.shm_segsz, s.shm.shm_nattch, s.shm.shm_ctime > 1000000000, s.shm.shm_cpid ? "a process" : "none");
		break;
	case SEM:
		printf(", %d semaphores, recent %d", s.sem.sem_nsems, s.sem.sem_ctime > 1000000000);
		break;
	case MSG:
		printf(", %d messages of %d bytes, at most %d, recent %d, last sender %s", s.msg.msg_qnum, s.msg.msg_cbytes, s.msg.msg_qbytes, s.msg.msg_ctime > 1000000000, s.msg.msg_lspid ? "a process" : "none");
	}
	int end = sizeof(s);
	while (end > 0 && s.bytes[end - 1] == 0xee)
		end--;
	printf(", %d bytes\n", end);
}

static void change(int kind, int id, unsigned uid, unsigned gid, const char *what) {
	union status s;
	memset(&s, 0, sizeof(s));
	s.perm.uid = uid, s.perm.gid = gid, s.perm.mode = 0604;
	if (kind == MSG)
		s.msg.msg_qbytes = 1000;
	long r = ctl(kind, id, IPC_SET, &s);
	printf("%s %s to %u:%u: %s\n", kinds[kind], what, uid, gid, r ? strerrorname_np(errno) : "ok");
}

static int kind, object, place;

// index_of returns the index of the object.
static int index_of(int id) { return id & 0x7fff; }

static void look(void) {
	static const int stat[] = {SHM_STAT, SEM_STAT, MSG_STAT}, any[] = {SHM_STAT_ANY, SEM_STAT_ANY, MSG_STAT_ANY};
	show_status(kind, object, IPC_STAT, "status");
	show_status(kind, place, stat[kind], "status by index");
	show_status(kind, place, any[kind], "any status by index");
	show_status(kind, 0x7ffffff, IPC_STAT, "status of none");
	change(kind, object, geteuid(), 5, "change");
	printf("%s status at a bad address: %s\n", kinds[kind], ctl(kind, object, IPC_STAT, (void *)1) ? strerrorname_np(errno) : "ok");
	printf("%s change at a bad address: %s\n", kinds[kind], ctl(kind, object, IPC_SET, (void *)1) ? strerrorname_np(errno) : "ok");
}

static void create(void) {
	object = get(kind), place = index_of(object);
	look();
	change(kind, object, 65535, 65535, "change");
	show_status(kind, object, IPC_STAT, "status");
	printf("%s remove: %s\n", kinds[kind], ctl(kind, object, IPC_RMID, NULL) ? strerrorname_np(errno) : "ok");
}

int main(void) {
	static const struct someone root = {0, 0, 0}, one = {42, 43, 43}, other = {1234, 1234, 1234}, high = {100000, 200000, 200000};
	must(unshare(CLONE_NEWIPC));
	for (kind = SHM; kind <= MSG; kind++) {
		object = get(kind), place = index_of(object);
		look();
		change(kind, object, 42, 43, "change");
		finish(start(one, -1, look));
		finish(start(other, -1, look));
		finish(start(high, -1, look));
		finish(start(root, -1, look));
		finish(start(one, -1, create));
		finish(start(high, -1, create));
		printf("%s remove: %s\n", kinds[kind], ctl(kind, object, IPC_RMID, NULL) ? strerrorname_np(errno) : "ok");
	}
	return 0;
}
