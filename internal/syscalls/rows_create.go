package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
)

// createRows are the calls that make inodes, which belong to their maker.
var createRows = []Row{
	{Name: "open", Handler: handlers.Open, Args: []Arg{Path, Flags, Flags}, Checks: ChecksMore, WhenUnchecked: opens(1), Note: "the kernel's own if the caller may; a new file belongs to its maker"},
	{Name: "openat", Handler: handlers.Openat, Args: []Arg{DirFD, Path, Flags, Flags}, Checks: ChecksMore, WhenUnchecked: opens(2), Note: "the kernel's own if the caller may; a new file belongs to its maker"},
	{Name: "openat2", Handler: handlers.Openat2, Args: []Arg{DirFD, Path, Ptr, Size}, Note: "the new inode belongs to its maker"},
	{Name: "creat", Handler: handlers.Creat, Args: []Arg{Path, Flags}, Note: "the new inode belongs to its maker"},
	{Name: "mkdir", Handler: handlers.Mkdir, Args: []Arg{Path, Flags}, Note: "the new inode belongs to its maker"},
	{Name: "mkdirat", Handler: handlers.Mkdirat, Args: []Arg{DirFD, Path, Flags}, Note: "the new inode belongs to its maker"},
	{Name: "symlink", Handler: handlers.Symlink, Args: []Arg{Path, Path}, Note: "the new inode belongs to its maker"},
	{Name: "symlinkat", Handler: handlers.Symlinkat, Args: []Arg{Path, DirFD, Path}, Note: "the new inode belongs to its maker"},
	{Name: "bind", Handler: handlers.Bind, Args: []Arg{FD, Ptr, Size}, Note: "of a unix socket to a path"},
	{Name: "memfd_create", Handler: handlers.MemfdCreate, Args: []Arg{Path, Flags}, Note: "the new inode belongs to its maker"},
}

// allFlags are the bits that open(2) knows, VALID_OPEN_FLAGS of <linux/fcntl.h>: up to __O_TMPFILE.
const allFlags = 1<<23 - 1

// opens are the tests for the flags of open(2), argument index, of all calls that
// do not only read: O_WRONLY, O_RDWR (and their sum), O_CREAT, __O_TMPFILE; and of
// those that read and have no other flags, as fopen(3) makes them, for /proc/PID/status.
func opens(index uint) []ArgTest {
	var tests []ArgTest
	for _, bit := range []uint32{unix.O_WRONLY, unix.O_RDWR, unix.O_CREAT, unix.O_TMPFILE &^ unix.O_DIRECTORY} {
		tests = append(tests, ArgTest{index, bit, bit})
	}
	// Last: what is left by the others has few complements, see package bundle. The
	// kernel ignores the higher bits, which are no flags.
	return append(tests, ArgTest{index, allFlags &^ handlers.Large, 0})
}
