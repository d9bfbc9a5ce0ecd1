// The devices fuse and tun that mknod has created, in a network namespace of root's own. The
// host must let the user open them.
#include "call.h"
#include "ids.h"
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#define BAD ((void *)1)

// can_open opens a device for both reading and writing.
static int can_open(const char *path) {
	int fd = open(path, O_RDWR | O_CLOEXEC);
	printf("%s: %s\n", path, fd < 0 ? strerrorname_np(errno) : "opened");
	return fd;
}

// attach attaches a tun device to an interface.
static void attach(int tun, const char *name) {
	struct ifreq r = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	strcpy(r.ifr_name, name);
	printf("%s: %s\n", name, ioctl(tun, TUNSETIFF, &r) ? strerrorname_np(errno) : r.ifr_name);
	char path[64];
	snprintf(path, sizeof(path), "/proc/thread-self/net/dev_snmp6/%s", name);
	printf("in this namespace: %d\n", access(path, F_OK) == 0);
}

static void both(void) {
	int fuse = can_open("fuse"), tun = can_open("tun");
	CALL(ioctl(fuse, TUNSETIFF, BAD));
	CALL(ioctl(tun, TUNSETIFF, BAD));
	CALL(ioctl(-1, TUNSETIFF, BAD));
	struct ifreq r = {0};
	CALL(ioctl(fuse, TUNSETIFF, &r));
	attach(tun, "first");
	attach(tun, "second");
	close(fuse);
	close(tun);
}

int main(void) {
	int fuse = open("/dev/fuse", O_RDWR), tun = open("/dev/net/tun", O_RDWR);
	if (fuse < 0 || tun < 0) {
		puts("skipped: the host lets its users open no /dev/fuse or no /dev/net/tun");
		return 0;
	}
	close(fuse);
	close(tun);
	must(unshare(CLONE_NEWNET));
	must(chmod(".", 0755));
	umask(0);
	CALL(mknod("fuse", S_IFCHR | 0666, makedev(10, 229)));
	CALL(mknod("tun", S_IFCHR | 0666, makedev(10, 200)));
	both();
	puts("user");
	struct child c = start((struct someone){21000, 21000, 21000}, -1, both);
	go_on(c);
	reap(c.pid);
	return 0;
}
