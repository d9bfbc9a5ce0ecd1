// Permission to read and change the resource limits of other processes, by the ids.
#include "call.h"
#include "ids.h"
#include <linux/capability.h>
#include <sys/resource.h>

static struct child target;

static void nothing(void) {}

static void every_way(void) {
	static const int resources[] = {RLIMIT_NOFILE, RLIMIT_CPU, RLIMIT_LOCKS, 99, -1};
	struct { uint64_t soft, hard; } l;
	pid_t pids[] = {target.pid, getpid(), 0, -1, 1 << 29};
	for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++)
		for (size_t k = 0; k < sizeof(resources) / sizeof(resources[0]); k++) {
			printf("  process %zu, resource %d\n", i, resources[k]);
			CALL(syscall(SYS_prlimit64, pids[i], resources[k], NULL, NULL));
			if (CALL(syscall(SYS_prlimit64, pids[i], resources[k], NULL, &l)) == 0)
				CALL(syscall(SYS_prlimit64, pids[i], resources[k], &l, NULL));
			CALL(syscall(SYS_prlimit64, pids[i], resources[k], 8, NULL));
			l.soft = 8, l.hard = 7;
			CALL(syscall(SYS_prlimit64, pids[i], resources[k], &l, NULL));
		}
}

// drop drops CAP_SYS_RESOURCE, which real root lacks in some virtual machines.
static void drop(void) {
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];
	must(syscall(SYS_capget, &header, data));
	data[0].effective &= ~(1U << CAP_SYS_RESOURCE);
	data[0].permitted &= ~(1U << CAP_SYS_RESOURCE);
	must(syscall(SYS_capset, &header, data));
}

int main(void) {
	static const struct someone people[] = {{0, 0, 0}, {21000, 21000, 21000}, {22000, 22000, 22000}, {21000, 22000, 21000}, {21000, 0, 23000}};
	const size_t n = sizeof(people) / sizeof(*people);
	drop();
	every_way();
	for (size_t to = 0; to < n; to++)
		for (size_t from = 0; from < n; from++) {
			struct someone s = people[from], t = people[to];
			printf("from %d,%d,%d to %d,%d,%d\n", s.real, s.effective, s.saved, t.real, t.effective, t.saved);
			target = start(t, -1, nothing);
			finish(start(s, -1, every_way));
			finish(target);
		}
	return 0;
}
