package syscalls

import (
	"flag"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

var update = flag.Bool("update", false, "rewrite docs/syscalls.md")

func TestDocsAreFresh(t *testing.T) {
	const page = "../../docs/syscalls.md"
	want := Markdown()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), want); diff != "" {
		t.Errorf("docs/syscalls.md is stale; run make generate\n%s", diff)
	}
}

// Each row is valid by the rules at Row.
func TestRowsAreUniqueAndComplete(t *testing.T) {
	seen := map[string]bool{}
	for i := range Rows() {
		r := &Rows()[i]
		if seen[r.Name] {
			t.Errorf("%s has two rows", r.Name)
		}
		seen[r.Name] = true
		if !Known(r.Name) {
			t.Errorf("%s: no architecture has such a system call", r.Name)
		}
		if r.Note == "" {
			t.Errorf("%s: no note", r.Name)
		}
		if (r.Handler != nil) != (r.Support == Emulated) {
			t.Errorf("%s: a row has a handler if, and only if, it is emulated", r.Name)
		}
		if r.Support == Emulated && r.Args == nil {
			t.Errorf("%s: no types of arguments for --trace", r.Name)
		}
		for _, c := range slices.Concat(r.When, r.WhenUnchecked, r.WhenBundled) {
			indices := map[uint]bool{}
			for _, t := range c {
				indices[t.Index] = true
			}
			if len(c) == 0 || len(indices) < len(c) {
				t.Errorf("%s: %v is no conjunction of tests of different arguments", r.Name, c)
			}
		}
		if (r.WhenUnchecked != nil) != (r.Checks == ChecksMore) {
			t.Errorf("%s: a row has WhenUnchecked if, and only if, it is ChecksMore", r.Name)
		}
	}
	for _, p := range Peers {
		for _, name := range p.Calls {
			if !seen[name] {
				t.Errorf("%s handles %s, which has no row", p.Name, name)
			}
		}
	}
}

// If this test fails, golang.org/x/sys (or extra in gen.go) has learned a system call that
// nobody has looked at. Decide whether a program can use it to see or change owners,
// identities, permissions or the root directory, or to bypass the filter:
//
//   - It can, and you write a handler: add an emulated row.
//   - It can, and you do not: add it to refusedRows.
//   - It cannot: add it to commonRows, with the reason as its note.
func TestCallsAreReviewed(t *testing.T) {
	for _, call := range numbers {
		name, n := call.name, call.numbers
		if slices.Max(n[:]) < firstCommon || slices.ContainsFunc(Rows(), func(r Row) bool { return r.Name == name }) {
			continue
		}
		t.Errorf("%s (%v) has no row: see the comment of this test", name, n)
	}
	for a := range Arch(arches) {
		if a.Highest() >= maxNR {
			t.Errorf("ABI %d has the system call number %d: increase maxNR", a, a.Highest())
		}
	}
}

// A missing number would let the call bypass the filter.
func TestEachABIHasItsOwnStatCalls(t *testing.T) {
	for arch, names := range map[Arch][]string{
		X8664: {"chown", "fchown", "lchown", "fchownat", "stat", "lstat", "fstat", "newfstatat", "statx", "listxattrat"},
		I386: {"chown", "chown32", "fchown", "fchown32", "lchown", "lchown32", "fchownat", "oldstat", "oldlstat", "oldfstat",
			"stat", "lstat", "fstat", "stat64", "lstat64", "fstat64", "fstatat64", "statx", "listxattrat"},
		ARM64: {"fchown", "fchownat", "fstat", "newfstatat", "statx", "listxattrat"},
	} {
		for _, name := range names {
			i := slices.IndexFunc(Rows(), func(r Row) bool { return r.Name == name })
			if i < 0 {
				t.Errorf("no row for %s", name)
				continue
			}
			if _, ok := Rows()[i].Number(arch); !ok || Rows()[i].Support != Emulated {
				t.Errorf("%s is not emulated on ABI %d", name, arch)
			}
		}
	}
}

func TestLookup(t *testing.T) {
	d := NewDispatch()
	for name, c := range map[string]struct {
		audit uint32
		nr    int32
		want  string
	}{
		"x86-64 chown":      {unix.AUDIT_ARCH_X86_64, 92, "chown"},
		"i386 chown32":      {unix.AUDIT_ARCH_I386, 212, "chown32"},
		"arm64 fchownat":    {unix.AUDIT_ARCH_AARCH64, 54, "fchownat"},
		"not emulated":      {unix.AUDIT_ARCH_X86_64, 0, ""},
		"x32":               {unix.AUDIT_ARCH_X86_64, X32Bit | 92, ""},
		"negative":          {unix.AUDIT_ARCH_X86_64, -1, ""},
		"another ABI":       {unix.AUDIT_ARCH_ARM, 182, ""},
		"beyond the table":  {unix.AUDIT_ARCH_X86_64, maxNR, ""},
		"i386 number, wide": {unix.AUDIT_ARCH_X86_64, 212, ""},
	} {
		row, handler := d.Lookup(c.audit, c.nr)
		got := ""
		if row != nil {
			got = row.Name
		}
		if got != c.want || (handler != nil) != (row != nil) {
			t.Errorf("%s: got row %q, handler %v; want %q", name, got, handler != nil, c.want)
		}
	}
}

// A kernel answers the calls that it lacks.
func TestLeaveMissing(t *testing.T) {
	const chown, processMadvise, fchmodat2 = 92, 440, 452
	d := NewDispatch()
	before := *d
	d.LeaveMissing(func(nr int) bool { return nr > processMadvise })
	for _, nr := range []int{chown, processMadvise} {
		if d[X8664][nr] != before[X8664][nr] {
			t.Errorf("the row of %d has changed", nr)
		}
	}
	for _, audit := range []uint32{unix.AUDIT_ARCH_X86_64, unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_AARCH64} {
		row, handler := d.Lookup(audit, fchmodat2)
		if r := handler(nil); !r.Continue || row.Name != "fchmodat2" || row.Serve != nil {
			t.Errorf("%#x: %v, %+v", audit, r, row)
		}
	}
}

// LeaveMissing asks about one number for all ABIs.
func TestNewerCallsHaveSameNumbers(t *testing.T) {
	for _, n := range numbers {
		if n.numbers[X8664] > lastOfAll && n.numbers[X8664] < maxNR && (n.numbers[I386] != n.numbers[X8664] || n.numbers[ARM64] != n.numbers[X8664]) {
			t.Errorf("%s: %v", n.name, n.numbers)
		}
	}
}

func TestNotifies(t *testing.T) {
	const high = 1 << 32 // the kernel takes an int and ignores the upper half
	always := Row{}
	ints := Row{When: []Condition{{{0, 1<<32 - 1, 10}}, {{2, 0x40, 0x40}}}}
	both := Row{When: []Condition{{{1, 1<<32 - 1, 1}, {2, 1<<32 - 1, 12}}, {{1, 1<<32 - 1, 270}, {2, 1<<32 - 1, 1}}}}
	for _, c := range []struct {
		row  *Row
		args [6]uint64
		want bool
	}{
		{&always, [6]uint64{}, true},
		{&ints, [6]uint64{10}, true},
		{&ints, [6]uint64{10 | high}, true},
		{&ints, [6]uint64{10 | 1<<7}, false},
		{&ints, [6]uint64{0, 10}, false},
		{&ints, [6]uint64{2: 0x42}, true},
		{&ints, [6]uint64{2: 0x82}, false},
		{&both, [6]uint64{1: 1, 2: 12}, true},
		{&both, [6]uint64{1: 270, 2: 1}, true},
		{&both, [6]uint64{1: 270, 2: 12}, false},
		{&both, [6]uint64{1: 1, 2: 1}, false},
		{&both, [6]uint64{1: 6, 2: 12}, false},
	} {
		if got := c.row.Notifies(&c.args); got != c.want {
			t.Errorf("%v, arguments %v: %v, want %v", c.row.When, c.args, got, c.want)
		}
	}
}

// The rows of ioctl, fcntl, socket and setsockopt test few bits. The tests must hold for everything that
// the handlers answer, and not for frequent calls.
func TestNotifiesByFewBits(t *testing.T) {
	for _, c := range []struct {
		name string
		args [6]uint64
		want bool
	}{
		{"ioctl", [6]uint64{1: unix.SIOCADDRT}, true},
		{"ioctl", [6]uint64{1: unix.SIOCSIFFLAGS}, true},
		{"ioctl", [6]uint64{1: unix.SIOCBRDELIF}, true},
		{"ioctl", [6]uint64{1: unix.FS_IOC_SETFLAGS}, true},
		{"ioctl", [6]uint64{1: 0x40046602}, true}, // FS_IOC32_SETFLAGS
		{"ioctl", [6]uint64{1: 0x401c5820}, true}, // FS_IOC_FSSETXATTR
		{"ioctl", [6]uint64{1: 0x40087602}, true}, // FS_IOC_SETVERSION
		{"ioctl", [6]uint64{1: 0x40047602}, true}, // FS_IOC32_SETVERSION
		{"ioctl", [6]uint64{1: unix.TUNSETIFF}, true},
		{"ioctl", [6]uint64{1: unix.TCGETS}, false},
		{"ioctl", [6]uint64{1: unix.TIOCGWINSZ}, false},
		{"ioctl", [6]uint64{1: unix.TIOCINQ}, false},
		{"ioctl", [6]uint64{1: 0x5451}, false}, // FIOCLEX
		{"ioctl", [6]uint64{1: unix.FICLONE}, false},
		{"ioctl", [6]uint64{1: 0xae80}, false},     // KVM_RUN
		{"ioctl", [6]uint64{1: 0xc0406429}, false}, // DRM_IOCTL_I915_GEM_EXECBUFFER2_WR

		{"socket", [6]uint64{unix.AF_NETLINK, unix.SOCK_RAW | unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE}, true},
		{"socket", [6]uint64{unix.AF_NETLINK, unix.SOCK_DGRAM, unix.NETLINK_ROUTE}, true},
		{"socket", [6]uint64{unix.AF_PACKET, unix.SOCK_DGRAM, 0x300}, true},
		{"socket", [6]uint64{unix.AF_KEY, unix.SOCK_RAW, 2}, true},
		{"socket", [6]uint64{unix.AF_XDP, unix.SOCK_RAW, 0}, true},
		{"socket", [6]uint64{unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_UDP}, true},
		{"socket", [6]uint64{unix.AF_INET, 10 /* SOCK_PACKET */, 0x300}, true},
		{"socket", [6]uint64{unix.AF_INET, unix.SOCK_DGRAM | unix.SOCK_NONBLOCK, unix.IPPROTO_ICMP}, true},
		{"socket", [6]uint64{unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_ICMPV6}, true},
		{"socket", [6]uint64{unix.AF_UNIX, unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK, 0}, false},
		{"socket", [6]uint64{unix.AF_UNIX, unix.SOCK_SEQPACKET, 0}, false},
		{"socket", [6]uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP}, false},
		{"socket", [6]uint64{unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_UDP}, false},

		{"fcntl", [6]uint64{1: unix.F_SETLEASE, 2: unix.F_RDLCK}, true},
		{"fcntl", [6]uint64{1: unix.F_SETFL, 2: unix.O_NOATIME | unix.O_APPEND}, true},
		{"fcntl", [6]uint64{1: unix.F_SETFL, 2: unix.O_NONBLOCK}, false},
		{"fcntl", [6]uint64{1: unix.F_SETFD, 2: unix.FD_CLOEXEC}, false},
		{"fcntl", [6]uint64{1: unix.F_DUPFD_CLOEXEC, 2: 3}, false},
		{"fcntl", [6]uint64{1: unix.F_SETLK, 2: 0x7ffc00040000}, false},
		{"fcntl", [6]uint64{1: unix.F_OFD_GETLK, 2: 0x7ffc00040000}, false},

		{"setsockopt", [6]uint64{1: unix.SOL_SOCKET, 2: unix.SO_MARK}, true},
		{"setsockopt", [6]uint64{1: unix.SOL_SOCKET, 2: unix.SO_RCVMARK}, true},
		{"setsockopt", [6]uint64{1: unix.SOL_SOCKET, 2: unix.SO_PASSCRED}, true},
		{"setsockopt", [6]uint64{1: unix.SOL_SOCKET, 2: unix.SO_PRIORITY}, true},
		{"setsockopt", [6]uint64{1: unix.SOL_SOCKET, 2: unix.SO_BINDTODEVICE}, true},
		{"setsockopt", [6]uint64{1: unix.SOL_SOCKET, 2: unix.SO_BINDTOIFINDEX}, true},
		{"setsockopt", [6]uint64{1: unix.SOL_SOCKET, 2: unix.SO_TXTIME}, true},
		{"setsockopt", [6]uint64{1: unix.SOL_IP, 2: unix.IP_TRANSPARENT}, true},
		{"setsockopt", [6]uint64{1: unix.SOL_IPV6, 2: unix.IPV6_TRANSPARENT}, true},
		{"setsockopt", [6]uint64{1: unix.SOL_IPV6, 2: unix.IPV6_HOPOPTS}, true},
		{"setsockopt", [6]uint64{1: unix.SOL_IPV6, 2: unix.IPV6_RTHDRDSTOPTS}, true},
		{"setsockopt", [6]uint64{1: unix.SOL_IPV6, 2: unix.IPV6_DSTOPTS}, true},
		{"setsockopt", [6]uint64{1: unix.SOL_TCP, 2: unix.TCP_REPAIR}, true},
		{"setsockopt", [6]uint64{1: unix.SOL_TCP, 2: unix.TCP_CONGESTION}, true},
		{"setsockopt", [6]uint64{1: unix.SOL_NETLINK, 2: unix.NETLINK_ADD_MEMBERSHIP}, true},
		{"setsockopt", [6]uint64{1: unix.SOL_NETLINK, 2: unix.NETLINK_DROP_MEMBERSHIP}, true},
		{"setsockopt", [6]uint64{1: unix.SOL_NETLINK, 2: unix.NETLINK_LISTEN_ALL_NSID}, true},
		{"setsockopt", [6]uint64{1: unix.SOL_TCP, 2: unix.TCP_QUICKACK}, false}, // as SO_PRIORITY
		{"setsockopt", [6]uint64{1: unix.SOL_TCP, 2: unix.TCP_NODELAY}, false},
		{"setsockopt", [6]uint64{1: unix.SOL_TCP, 2: unix.TCP_CORK}, false},
		{"setsockopt", [6]uint64{1: unix.SOL_TCP, 2: unix.TCP_NOTSENT_LOWAT}, false},
		{"setsockopt", [6]uint64{1: unix.SOL_IP, 2: unix.IP_RECVTTL}, false},
		{"setsockopt", [6]uint64{1: unix.SOL_IP, 2: unix.IP_MTU_DISCOVER}, false},
		{"setsockopt", [6]uint64{1: unix.SOL_IPV6, 2: unix.IPV6_V6ONLY}, false},
		{"setsockopt", [6]uint64{1: unix.SOL_UDP, 2: 103 /* UDP_SEGMENT */}, false},
		{"setsockopt", [6]uint64{1: unix.SOL_SOCKET, 2: unix.SO_REUSEADDR}, false},
		{"setsockopt", [6]uint64{1: unix.SOL_SOCKET, 2: unix.SO_KEEPALIVE}, false},
		{"setsockopt", [6]uint64{1: unix.SOL_SOCKET, 2: unix.SO_LINGER}, false},
		{"setsockopt", [6]uint64{1: unix.SOL_SOCKET, 2: unix.SO_SNDBUF}, false},
		{"setsockopt", [6]uint64{1: unix.SOL_SOCKET, 2: unix.SO_RCVTIMEO}, false},
		{"setsockopt", [6]uint64{1: unix.SOL_SOCKET, 2: unix.SO_REUSEPORT}, false},
		{"setsockopt", [6]uint64{1: unix.SOL_SOCKET, 2: unix.SO_BROADCAST}, false},
	} {
		i := slices.IndexFunc(Rows(), func(r Row) bool { return r.Name == c.name })
		if got := Rows()[i].Notifies(&c.args); got != c.want {
			t.Errorf("%s(%#x): %v, want %v", c.name, c.args, got, c.want)
		}
	}
}
