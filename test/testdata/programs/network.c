// Calls that need a capability in the network namespace, which is root's own.
#include "call.h"
#include "ids.h"
#include <arpa/inet.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/if_vlan.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#define BAD ((void *)1)

// holding makes the caller user 21000 with these capabilities.
static void holding(uint64_t caps) {
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{caps, caps, 0}, {caps >> 32, caps >> 32, 0}};
	must(prctl(PR_SET_KEEPCAPS, 1));
	become((struct someone){21000, 21000, 21000});
	must(syscall(SYS_capset, &header, data));
}

static struct sockaddr_in inet(int family, const char *addr, int port) {
	struct sockaddr_in sa = {.sin_family = family, .sin_port = htons(port)};
	must(inet_pton(AF_INET, addr, &sa.sin_addr) - 1);
	return sa;
}

static struct sockaddr_in6 inet6(const char *addr, int port) {
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	must(inet_pton(AF_INET6, addr, &sa.sin6_addr) - 1);
	return sa;
}

static void try_bind(int domain, int type, const char *addr, int port) {
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	int s = socket(domain, type, 0), e;
	if (s < 0) {
		printf("no socket: %s\n", strerrorname_np(errno));
		return;
	}
	if (strchr(addr, ':')) {
		v6 = inet6(addr, port);
		e = bind(s, (void *)&v6, sizeof(v6));
	} else {
		v4 = inet(AF_INET, addr, port);
		e = bind(s, (void *)&v4, sizeof(v4));
	}
	printf("bind %d %d %s %d: %s\n", domain, type, addr, port, e ? strerrorname_np(errno) : "bound");
	close(s);
}

static void binds(void) {
	static const int ports[] = {1, 80, 1023, 1024, 8080};
	static const char *const addrs[] = {"0.0.0.0", "127.0.0.1", "192.0.2.1", "::", "::1", "::ffff:127.0.0.1", "2001:db8::1"};
	for (size_t a = 0; a < sizeof(addrs) / sizeof(addrs[0]); a++)
		for (size_t p = 0; p < sizeof(ports) / sizeof(ports[0]); p++) {
			try_bind(strchr(addrs[a], ':') ? AF_INET6 : AF_INET, SOCK_STREAM, addrs[a], ports[p]);
			try_bind(strchr(addrs[a], ':') ? AF_INET6 : AF_INET, SOCK_DGRAM, addrs[a], ports[p]);
		}
	try_bind(AF_INET6, SOCK_STREAM, "127.0.0.1", 80);
	try_bind(AF_INET, SOCK_STREAM, "::1", 80);
	try_bind(AF_UNIX, SOCK_STREAM, "127.0.0.1", 80);

	struct sockaddr_in any = inet(AF_UNSPEC, "0.0.0.0", 80), other = inet(AF_UNSPEC, "127.0.0.1", 80), sa = inet(AF_INET, "127.0.0.1", 80);
	int s = must(socket(AF_INET, SOCK_STREAM, 0)), file = must(open("file", O_RDONLY)), path = must(open("file", O_PATH));
	CALL(bind(s, (void *)&any, sizeof(any)));
	CALL(bind(s, (void *)&other, sizeof(other)));
	CALL(bind(s, (void *)&sa, 15));
	CALL(bind(s, (void *)&sa, 8));
	CALL(bind(s, (void *)&sa, 0));
	CALL(bind(s, (void *)&sa, -1));
	CALL(bind(s, (void *)&sa, 128));
	CALL(bind(s, (void *)&sa, 129));
	CALL(bind(s, BAD, sizeof(sa)));
	CALL(bind(file, (void *)&sa, sizeof(sa)));
	CALL(bind(path, (void *)&sa, sizeof(sa)));
	CALL(bind(-1, (void *)&sa, sizeof(sa)));
	close(s);

	// A socket that is already bound, and an address in use.
	int a = must(socket(AF_INET, SOCK_STREAM, 0)), b = must(socket(AF_INET, SOCK_STREAM, 0));
	sa.sin_port = htons(4000);
	CALL(bind(a, (void *)&sa, sizeof(sa)));
	CALL(bind(a, (void *)&sa, sizeof(sa)));
	CALL(bind(b, (void *)&sa, sizeof(sa)));
	sa.sin_port = htons(81);
	CALL(bind(a, (void *)&sa, sizeof(sa)));
	struct sockaddr_in got;
	socklen_t size = sizeof(got);
	CALL(getsockname(a, (void *)&got, &size));
	printf("port %d\n", ntohs(got.sin_port));
	close(a);
	close(b);
	close(file);
	close(path);
}

static void sockets(void) {
	CALL(close(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)));
	CALL(close(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)));
	CALL(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP) > 0);
	CALL(socket(AF_INET, SOCK_RAW, 0));
	CALL(socket(AF_INET, SOCK_RAW, 4711));
	CALL(socket(AF_INET, SOCK_RAW | 0x40, IPPROTO_TCP));
	CALL(close(socket(AF_INET, SOCK_RAW, IPPROTO_RAW)));
	CALL(close(socket(AF_INET, SOCK_PACKET, 0)));
	CALL(close(socket(AF_PACKET, SOCK_RAW, 0)));
	CALL(close(socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, 0)));
	CALL(socket(AF_PACKET, SOCK_STREAM, 0));
	CALL(close(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)));
	CALL(close(socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6)));
	CALL(close(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)));
	CALL(socket(AF_INET, SOCK_STREAM, IPPROTO_ICMP));
	CALL(socket(AF_KEY, SOCK_RAW, 2));
	CALL(socket(AF_NETLINK, SOCK_STREAM, 0));
	CALL(socket(AF_NETLINK, SOCK_RAW, 1000));
}

static void options(void) {
	int s = must(socket(AF_INET, SOCK_STREAM, 0)), udp = must(socket(AF_INET, SOCK_DGRAM, 0)), file = must(open("file", O_RDONLY));
	int six = socket(AF_INET6, SOCK_DGRAM, 0), one = 1, pair[2];
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	CALL(setsockopt(s, SOL_SOCKET, SO_MARK, &one, sizeof(one)));
	CALL(setsockopt(pair[0], SOL_SOCKET, SO_MARK, &one, sizeof(one)));
	CALL(setsockopt(s, SOL_SOCKET, SO_MARK, &one, 2));
	CALL(setsockopt(s, SOL_SOCKET, SO_MARK, BAD, sizeof(one)));
	CALL(setsockopt(s, SOL_SOCKET, SO_MARK, &one, -1));
	CALL(setsockopt(file, SOL_SOCKET, SO_MARK, &one, sizeof(one)));
	CALL(setsockopt(-1, SOL_SOCKET, SO_MARK, &one, sizeof(one)));
	CALL(setsockopt(s, SOL_SOCKET, 75 /* SO_RCVMARK */, &one, sizeof(one)));
	CALL(setsockopt(s, SOL_IP, IP_TRANSPARENT, &one, sizeof(one)));
	CALL(setsockopt(s, SOL_IP, IP_TRANSPARENT, &one, 1));
	CALL(setsockopt(s, SOL_IP, IP_TRANSPARENT, &one, 0));
	CALL(setsockopt(s, SOL_IP, IP_TRANSPARENT, &(int){0}, sizeof(one)));
	CALL(setsockopt(udp, SOL_IP, IP_TRANSPARENT, BAD, sizeof(one)));
	CALL(setsockopt(six, SOL_IPV6, 75 /* IPV6_TRANSPARENT */, &one, sizeof(one)));
	CALL(setsockopt(s, SOL_TCP, TCP_REPAIR, &one, sizeof(one)));
	CALL(setsockopt(s, SOL_TCP, TCP_NODELAY, &one, sizeof(one)));
	CALL(setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	CALL(setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	CALL(setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "none", 5));
	CALL(setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "a name that is longer than sixteen bytes", 40));
	CALL(setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "", 0));
	CALL(setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, BAD, 3));
	CALL(setsockopt(udp, SOL_SOCKET, 62 /* SO_BINDTOIFINDEX */, &one, sizeof(one)));
	CALL(setsockopt(udp, SOL_SOCKET, 62, &(int){0}, sizeof(one)));
	CALL(setsockopt(pair[0], SOL_SOCKET, 62, &one, sizeof(one)));
	struct { int clock; unsigned flags; } monotonic = {CLOCK_MONOTONIC, 0}, tai = {CLOCK_TAI, 0}, none = {CLOCK_TAI, 4};
	CALL(setsockopt(udp, SOL_SOCKET, 61 /* SO_TXTIME */, &monotonic, sizeof(monotonic)));
	CALL(setsockopt(udp, SOL_SOCKET, 61, &tai, sizeof(tai)));
	CALL(setsockopt(udp, SOL_SOCKET, 61, &none, sizeof(none)));
	CALL(setsockopt(udp, SOL_SOCKET, 61, &tai, 4));
	CALL(setsockopt(s, SOL_TCP, TCP_CONGESTION, "reno", 4));
	CALL(setsockopt(s, SOL_TCP, TCP_CONGESTION, "none such", 9));
	CALL(setsockopt(s, SOL_TCP, TCP_CONGESTION, "", 0));
	CALL(setsockopt(udp, SOL_TCP, TCP_CONGESTION, "reno", 4));
	char header[8] = {0};
	CALL(setsockopt(six, SOL_IPV6, 54 /* IPV6_HOPOPTS */, header, sizeof(header)));
	CALL(setsockopt(six, SOL_IPV6, 54, NULL, 0));
	CALL(setsockopt(six, SOL_IPV6, 55 /* IPV6_RTHDRDSTOPTS */, header, 7));
	CALL(setsockopt(six, SOL_IPV6, 59 /* IPV6_DSTOPTS */, header, sizeof(header)));
	CALL(setsockopt(s, SOL_IPV6, 59, header, sizeof(header)));
}

// value prints an option of a socket.
static void value(int s, int level, int name) {
	int got = -1;
	socklen_t size = sizeof(got);
	CALL(getsockopt(s, level, name, &got, &size));
	printf("  %d\n", got);
}

static void priorities(void) {
	static const int values[] = {0, 1, 6, 7, 100, -1, 0x10006};
	int udp = must(socket(AF_INET, SOCK_DGRAM, 0)), tcp = must(socket(AF_INET, SOCK_STREAM, 0)), pair[2], file = must(open("file", O_RDONLY));
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		printf("priority %d\n", values[i]);
		CALL(setsockopt(udp, SOL_SOCKET, SO_PRIORITY, &values[i], sizeof(int)));
		CALL(setsockopt(pair[0], SOL_SOCKET, SO_PRIORITY, &values[i], sizeof(int)));
		value(udp, SOL_SOCKET, SO_PRIORITY);
	}
	CALL(setsockopt(udp, SOL_SOCKET, SO_PRIORITY, &(int){7}, 3));
	CALL(setsockopt(udp, SOL_SOCKET, SO_PRIORITY, BAD, sizeof(int)));
	CALL(setsockopt(udp, SOL_SOCKET, SO_PRIORITY, &(long){7}, sizeof(long)));
	CALL(setsockopt(file, SOL_SOCKET, SO_PRIORITY, &(int){7}, sizeof(int)));
	CALL(setsockopt(-1, SOL_SOCKET, SO_PRIORITY, &(int){7}, sizeof(int)));
	// Other options with the same number.
	CALL(setsockopt(tcp, SOL_TCP, TCP_QUICKACK, &(int){7}, sizeof(int)));
	CALL(setsockopt(udp, SOL_IP, IP_RECVTTL, &(int){7}, sizeof(int)));
	value(udp, SOL_IP, IP_RECVTTL);
}

static void interfaces(void) {
	int s = must(socket(AF_INET, SOCK_DGRAM, 0)), unixs = must(socket(AF_UNIX, SOCK_DGRAM, 0)), file = must(open("file", O_RDONLY));
	struct ifreq lo = {.ifr_name = "lo"}, none = {.ifr_name = "none"};
	struct rtentry route = {.rt_flags = RTF_UP};
	struct arpreq arp = {.arp_flags = ATF_COM};
	CALL(ioctl(s, SIOCGIFFLAGS, &lo));
	CALL(ioctl(s, SIOCSIFFLAGS, &lo));
	CALL(ioctl(s, SIOCSIFFLAGS, &none));
	CALL(ioctl(s, SIOCSIFFLAGS, BAD));
	CALL(ioctl(unixs, SIOCSIFFLAGS, &lo));
	CALL(ioctl(file, SIOCSIFFLAGS, &lo));
	CALL(ioctl(-1, SIOCSIFFLAGS, &lo));
	lo.ifr_mtu = 40000;
	CALL(ioctl(s, SIOCSIFMTU, &lo));
	CALL(ioctl(s, SIOCSIFMTU, BAD));
	CALL(ioctl(s, SIOCGIFMTU, &lo));
	CALL(ioctl(s, SIOCSIFMTU, &none));
	struct sockaddr_in addr = inet(AF_INET, "127.0.0.2", 0);
	memcpy(&lo.ifr_addr, &addr, sizeof(addr));
	CALL(ioctl(s, SIOCSIFADDR, &lo));
	CALL(ioctl(s, SIOCSIFADDR, &none));
	CALL(ioctl(unixs, SIOCSIFADDR, &lo));
	CALL(ioctl(s, SIOCSIFNETMASK, &lo));
	CALL(ioctl(s, SIOCADDRT, &route));
	CALL(ioctl(s, SIOCADDRT, BAD));
	CALL(ioctl(s, SIOCDELRT, &route));
	CALL(ioctl(s, SIOCSARP, &arp));
	CALL(ioctl(s, SIOCSARP, BAD));
	CALL(ioctl(s, SIOCDARP, &arp));
	CALL(ioctl(s, SIOCSIFNAME, &none));
	CALL(ioctl(s, SIOCGIFCONF, BAD));
	CALL(ioctl(s, SIOCGIFINDEX, &lo));
	CALL(ioctl(s, 0x89a0 /* SIOCBRADDBR */, "none"));
	CALL(ioctl(s, 0x89a0, BAD));
	CALL(ioctl(s, SIOCGMIIPHY, &lo));
	CALL(ioctl(s, SIOCGMIIREG, &none));
	CALL(ioctl(s, SIOCSMIIREG, &lo));
	CALL(ioctl(s, SIOCSHWTSTAMP, &lo));
	CALL(ioctl(s, 0x8990 /* SIOCBONDENSLAVE */, &lo));
	struct vlan_ioctl_args vlan = {.cmd = ADD_VLAN_CMD, .device1 = "lo"};
	CALL(ioctl(s, SIOCSIFVLAN, &vlan));
	vlan.cmd = GET_VLAN_VID_CMD;
	CALL(ioctl(s, SIOCSIFVLAN, &vlan));
	CALL(ioctl(s, SIOCSIFVLAN, BAD));

	static const unsigned commands[] = {ETHTOOL_GSET, ETHTOOL_SSET, ETHTOOL_GDRVINFO, ETHTOOL_GWOL, ETHTOOL_GREGS, ETHTOOL_GLINK, ETHTOOL_NWAY_RST,
		ETHTOOL_GEEPROM, ETHTOOL_GRXCSUM, ETHTOOL_STXCSUM, ETHTOOL_GTSO, ETHTOOL_STSO, ETHTOOL_GSTRINGS, ETHTOOL_GFEATURES, ETHTOOL_SFEATURES, ETHTOOL_GCHANNELS,
		ETHTOOL_FLASHDEV, ETHTOOL_RESET, ETHTOOL_PERQUEUE, ETHTOOL_GLINKSETTINGS, 0, 1000};
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct { unsigned command, value[255]; } data = {commands[i], {ETHTOOL_GCOALESCE}};
		struct ifreq r = {.ifr_name = "lo", .ifr_data = (void *)&data};
		printf("ethtool %#x\n", commands[i]);
		CALL(ioctl(s, SIOCETHTOOL, &r));
		data.command = commands[i];
		CALL(ioctl(unixs, SIOCETHTOOL, &r));
		strcpy(r.ifr_name, "none");
		CALL(ioctl(s, SIOCETHTOOL, &r));
	}
	struct ifreq r = {.ifr_name = "lo", .ifr_data = BAD};
	unsigned *last = (void *)(end_of_page() - 4);
	CALL(ioctl(s, SIOCETHTOOL, &r));
	CALL(ioctl(s, SIOCETHTOOL, BAD));
	CALL(ioctl(file, SIOCETHTOOL, &r));
	*last = ETHTOOL_STSO, r.ifr_data = (void *)last;
	CALL(ioctl(s, SIOCETHTOOL, &r));
	*last = ETHTOOL_GTSO;
	CALL(ioctl(s, SIOCETHTOOL, &r));
}

// request sends a request of rtnetlink(7) about the interface lo, and prints the answer.
static void request(int s, int type, int flags, unsigned mtu) {
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
		struct rtattr attr;
		unsigned mtu;
	} msg = {{sizeof(msg), type, NLM_F_REQUEST | NLM_F_ACK | flags, 1, 0}, {.ifi_index = 1}, {sizeof(struct rtattr) + 4, IFLA_MTU}, mtu};
	char answer[16384];
	if (send(s, &msg, sizeof(msg), 0) < 0) {
		printf("request %d: %s\n", type, strerrorname_np(errno));
		return;
	}
	for (;;) {
		ssize_t n = recv(s, answer, sizeof(answer), 0);
		struct nlmsghdr *h = (void *)answer;
		if (n < 0) {
			printf("answer %d: %s\n", type, strerrorname_np(errno));
			return;
		}
		if (h->nlmsg_type != NLMSG_ERROR) {
			printf("answer %d: a message of type %d\n", type, h->nlmsg_type);
			continue;
		}
		int e = -((struct nlmsgerr *)NLMSG_DATA(h))->error;
		printf("answer %d: %s\n", type, e ? strerrorname_np(e) : "done");
		return;
	}
}

static void netlink(void) {
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), nonblocking = socket(AF_NETLINK, SOCK_DGRAM | SOCK_NONBLOCK, NETLINK_ROUTE);
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK};
	socklen_t size = sizeof(addr);
	CALL(fcntl(s, F_GETFD));
	CALL(fcntl(s, F_GETFL));
	CALL(fcntl(nonblocking, F_GETFD));
	CALL(fcntl(nonblocking, F_GETFL));
	CALL(bind(s, (void *)&addr, sizeof(addr)));
	CALL(getsockname(s, (void *)&addr, &size));
	printf("its number is %s\n", addr.nl_pid == (unsigned)getpid() ? "the process" : "another");
	request(s, RTM_GETLINK, 0, 30000);
	request(s, RTM_NEWLINK, 0, 30000);
	request(s, RTM_DELLINK, 0, 30000);
	CALL(close(socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT)));
}

// groups joins groups of netlink(7).
static void groups(void) {
	static const int protocols[] = {NETLINK_ROUTE, NETLINK_USERSOCK, NETLINK_NETFILTER, NETLINK_XFRM, NETLINK_KOBJECT_UEVENT, NETLINK_GENERIC, NETLINK_SOCK_DIAG};
	static const int some[] = {0, 1, 2, 30, 31, 33, 1000};
	for (size_t p = 0; p < sizeof(protocols) / sizeof(protocols[0]); p++) {
		int s = socket(AF_NETLINK, SOCK_RAW, protocols[p]);
		printf("protocol %d\n", protocols[p]);
		if (s < 0)
			continue;
		for (size_t g = 0; g < sizeof(some) / sizeof(some[0]); g++) {
			printf("group %d\n", some[g]);
			CALL(setsockopt(s, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &some[g], sizeof(int)));
			CALL(setsockopt(s, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, &some[g], sizeof(int)));
		}
		CALL(setsockopt(s, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &some[1], 2));
		CALL(setsockopt(s, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, BAD, sizeof(int)));
		CALL(setsockopt(s, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &some[1], sizeof(int)));
		CALL(setsockopt(s, SOL_NETLINK, NETLINK_PKTINFO, &some[1], sizeof(int)));
		struct sockaddr_nl addr = {.nl_family = AF_NETLINK, .nl_groups = 1 << 29 | 1};
		CALL(bind(s, (void *)&addr, 8));
		CALL(bind(s, (void *)&addr, sizeof(addr)));
		close(s);
		s = must(socket(AF_NETLINK, SOCK_DGRAM, protocols[p]));
		addr.nl_groups = 2;
		CALL(connect(s, (void *)&addr, sizeof(addr)));
		addr.nl_groups = 0;
		CALL(connect(s, (void *)&addr, sizeof(addr)));
		addr.nl_pid = 1;
		CALL(connect(s, (void *)&addr, sizeof(addr)));
		CALL(connect(s, (void *)&addr, 11));
		close(s);
	}
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK, .nl_groups = 1};
	int udp = must(socket(AF_INET, SOCK_DGRAM, 0)), s = must(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
	CALL(bind(udp, (void *)&addr, sizeof(addr)));
	CALL(setsockopt(udp, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &some[1], sizeof(int)));
	CALL(bind(s, (void *)&addr, sizeof(addr)));
	socklen_t size = sizeof(addr);
	CALL(getsockname(s, (void *)&addr, &size));
	printf("groups %x of %s\n", addr.nl_groups, addr.nl_pid == (unsigned)getpid() ? "the process" : "another");
}

static void plainly(void (*f)(void)) { finish(start((struct someone){21000, 21000, 21000}, -1, f)); }

static uint64_t kept;
static void (*then)(void);
static void keep(void) { holding(kept); then(); }

static void with(uint64_t caps, void (*f)(void)) {
	kept = caps, then = f;
	finish(start((struct someone){0, 0, 0}, -1, keep));
}

static void all(void (*f)(void), const char *what) {
	printf("%s of root\n", what);
	finish(start((struct someone){0, 0, 0}, -1, f));
	printf("%s of a user\n", what);
	plainly(f);
	printf("%s of a user with CAP_NET_BIND_SERVICE\n", what);
	with(1 << CAP_NET_BIND_SERVICE, f);
	printf("%s of a user with CAP_NET_RAW\n", what);
	with(1 << CAP_NET_RAW, f);
	printf("%s of a user with CAP_NET_ADMIN\n", what);
	with(1 << CAP_NET_ADMIN, f);
}

static void sysctl(const char *name, const char *value) {
	int fd = must(open(name, O_WRONLY));
	must(write(fd, value, strlen(value)));
	close(fd);
}

static void ping(void) {
	CALL(close(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)));
	CALL(close(socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6)));
}

// in_group becomes a user that is also in root's group.
static void in_group(void) {
	gid_t group = 0;
	must(syscall(SETGROUPS, 1, &group));
	must(syscall(SETRESGID, 21000, 21000, 21000));
	must(syscall(SETRESUID, 21000, 21000, 21000));
	ping();
}

int main(void) {
	must(chmod(".", 0755));
	make_file("file", 0644);
	must(unshare(CLONE_NEWNET));
	int s = must(socket(AF_INET, SOCK_DGRAM, 0));
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	must(ioctl(s, SIOCSIFFLAGS, &lo));
	all(binds, "bind");
	all(sockets, "socket");
	all(options, "setsockopt");
	all(priorities, "SO_PRIORITY");
	all(interfaces, "ioctl");
	all(netlink, "netlink");
	all(groups, "groups of netlink");
	sysctl("/proc/sys/net/ipv4/ip_unprivileged_port_start", "81");
	all(binds, "bind from port 81");
	sysctl("/proc/sys/net/ipv4/ip_unprivileged_port_start", "5000");
	plainly(binds);
	sysctl("/proc/sys/net/ipv4/ping_group_range", "0 0");
	all(ping, "ping");
	finish(start((struct someone){0, 0, 0}, -1, in_group));
	return 0;
}
