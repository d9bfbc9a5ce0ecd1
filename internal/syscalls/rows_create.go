package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
)

// createRows are the calls that create inodes, which belong to their creator.
var createRows = []Row{
	{Name: "open", Handler: handlers.Open, Args: []Arg{Path, Flags, Flags}, Checks: ChecksMore, WhenUnchecked: opens(1), Note: openNote},
	{Name: "openat", Handler: handlers.Openat, Args: []Arg{DirFD, Path, Flags, Flags}, Checks: ChecksMore, WhenUnchecked: opens(2), Note: openNote},
	{Name: "openat2", Handler: handlers.Openat2, Args: []Arg{DirFD, Path, Ptr, Size}, Note: openNote},
	{Name: "creat", Handler: handlers.Creat, Args: []Arg{Path, Flags}, Note: openNote},
	{Name: "mkdir", Handler: handlers.Mkdir, Args: []Arg{Path, Flags}, Note: createNote},
	{Name: "mkdirat", Handler: handlers.Mkdirat, Args: []Arg{DirFD, Path, Flags}, Note: createNote},
	{Name: "symlink", Handler: handlers.Symlink, Args: []Arg{Path, Path}, Note: createNote},
	{Name: "symlinkat", Handler: handlers.Symlinkat, Args: []Arg{Path, DirFD, Path}, Note: createNote},
	{Name: "bind", Handler: handlers.Bind, Args: []Arg{FD, Ptr, Size}, Note: "a Unix socket's inode belongs to its creator; ports below `ip_unprivileged_port_start` need CAP_NET_BIND_SERVICE, and groups of netlink CAP_NET_ADMIN"},
	{Name: "memfd_create", Handler: handlers.MemfdCreate, Args: []Arg{Path, Flags}, Note: createNote},
}

// allFlags are the flags of open(2): VALID_OPEN_FLAGS of <linux/fcntl.h>, whose
// highest bit is __O_TMPFILE.
const allFlags = 1<<23 - 1

// opens returns the tests for the flags of open(2), which are argument index. They
// select calls that may write or create a file: O_WRONLY, O_RDWR (and both bits, a
// valid access mode), O_CREAT, O_TRUNC, __O_TMPFILE. They also select calls without any
// flag, as fopen(3) makes to read /proc/PID/status.
func opens(index uint) []Condition {
	var tests []Condition
	for _, bit := range []uint32{unix.O_WRONLY, unix.O_RDWR, unix.O_CREAT, unix.O_TRUNC, unix.O_TMPFILE &^ unix.O_DIRECTORY} {
		tests = append(tests, Condition{{index, bit, bit}})
	}
	// This test comes last, where package bundle needs the fewest rules for its
	// complement. The kernel ignores the bits above allFlags.
	return append(tests, Condition{{index, allFlags &^ handlers.Large, 0}})
}

const (
	openNote   = "continues if the permissions allow it; a new file belongs to its creator; placeholders open as devices"
	createNote = "the new inode belongs to its creator"
)
