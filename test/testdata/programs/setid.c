// chown(2) clears set-id bits and file capabilities, also when root calls it.
#include "call.h"
#include <sys/xattr.h>

static const mode_t modes[] = {06755, 06711, 06644, 04755, 04600, 02755, 02745, 02644, 07777};

// cap_net_raw=p in the format of VFS_CAP_REVISION_2.
static const uint32_t capability[] = {0x02000000, 1 << 13, 0, 0, 0};

static void each_mode(const char *how, uid_t uid, gid_t gid) {
	char value[64];
	printf("%s\n", how);
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		make_file("file", modes[i]);
		must(setxattr("file", "security.capability", capability, sizeof(capability), 0));
		must(chown("file", uid, gid));
		printf("  %04o:", modes[i]);
		show("file");
		CALL(getxattr("file", "security.capability", value, sizeof(value)));
		must(unlink("file"));
		must(mkdir("dir", 0700));
		must(chmod("dir", modes[i]));
		must(chown("dir", uid, gid));
		show("dir");
		must(rmdir("dir"));
	}
}

int main(void) {
	each_mode("nothing changed", -1, -1);
	each_mode("to root", 0, 0);
	each_mode("to a user", 42, 43);
	each_mode("only the group", -1, 43);
	// Bits that are set after the change stay; tar and rpm use this order.
	make_file("file", 0755);
	must(chown("file", 42, 43));
	must(chmod("file", 06755));
	show("file");
	return 0;
}
