package syscalls

import "github.com/rootless-containers/subuidless/internal/handlers"

// reachRows are the calls that continue if the caller may search the path and has the
// permission that the call needs on the file itself.
var reachRows = []Row{
	{Name: "access", Handler: handlers.Access, Args: []Arg{Path, Flags}, Checks: ChecksOnly, Note: "checks with the caller's real ids"},
	{Name: "faccessat", Handler: handlers.Faccessat, Args: []Arg{DirFD, Path, Flags}, Checks: ChecksOnly, Note: "checks with the caller's real ids"},
	{Name: "faccessat2", Handler: handlers.Faccessat2, Args: []Arg{DirFD, Path, Flags, Flags}, Checks: ChecksOnly, Note: "checks with the caller's real ids, or with AT_EACCESS with the effective ids"},
	{Name: "readlink", Handler: handlers.Readlink, Args: []Arg{Path, Ptr, Size}, Checks: ChecksOnly, When: unlessRealpath(2), Note: readlinkNote},
	{Name: "readlinkat", Handler: handlers.Readlinkat, Args: []Arg{DirFD, Path, Ptr, Size}, Checks: ChecksOnly, When: unlessRealpath(3), Note: readlinkNote},
	{Name: "chdir", Handler: handlers.Chdir, Args: []Arg{Path}, Checks: ChecksOnly, Note: chdirNote},
	{Name: "fchdir", Handler: handlers.Fchdir, Args: []Arg{FD}, Checks: ChecksOnly, Note: chdirNote},
	{Name: "truncate", Handler: handlers.Truncate, I386: handlers.Truncate32, Args: []Arg{Path, Size}, Note: truncateNote},
	{Name: "truncate64", Handler: handlers.Truncate64, Args: []Arg{Path, Size, Size}, Note: truncateNote},
	{Name: "statfs", Handler: handlers.Reach(0), Args: []Arg{Path, Ptr}, Checks: ChecksOnly, Note: searchNote},
	{Name: "statfs64", Handler: handlers.Reach(0), Args: []Arg{Path, Size, Ptr}, Checks: ChecksOnly, Note: searchNote},
	{Name: "name_to_handle_at", Handler: handlers.NameToHandleAt, Args: []Arg{DirFD, Path, Ptr, Ptr, Flags}, Checks: ChecksOnly, Note: searchNote},
	{Name: "file_getattr", Handler: handlers.FileGetattr, Args: []Arg{DirFD, Path, Ptr, Size, Flags}, Checks: ChecksOnly, Note: searchNote},
	{Name: "inotify_add_watch", Handler: handlers.InotifyAddWatch, Args: []Arg{FD, Path, Flags}, Checks: ChecksOnly, Note: "continues if the caller may read the file"},
	{Name: "fanotify_mark", Handler: handlers.FanotifyMark(3), I386: handlers.FanotifyMark(4), Args: []Arg{FD, Flags, Flags, DirFD, Path}, Checks: ChecksOnly, Note: "continues if the caller may read the file"},
	{Name: "connect", Handler: handlers.Connect, Args: []Arg{FD, Ptr, Size}, Checks: ChecksOnly, Note: "to the path of a Unix socket: continues if the caller may write to the socket; a netlink socket to other processes and groups: needs CAP_NET_ADMIN"},
}

// realpathSize is the size of the buffer with which realpath(3) of the GNU C library
// calls readlink(2), once for each component of a path.
const realpathSize = 1023

// unlessRealpath returns tests that hold for every other size, argument index. More than
// half of the calls with a path that a compiler makes come from realpath(3), which
// reads every directory of every header. Notifying them would make a build of C files
// take a tenth longer.
func unlessRealpath(index uint) []Condition {
	var tests []Condition
	for bit := uint32(1); bit < 1<<16; bit <<= 1 {
		tests = append(tests, Condition{{index, bit, ^uint32(realpathSize) & bit}})
	}
	return tests
}

const (
	searchNote   = "continues if the caller may search the path"
	readlinkNote = "continues if the caller may search the path; calls of realpath(3) of the GNU C library are not notified"
	chdirNote    = "continues if the caller may search the directory"
	truncateNote = "continues if the caller may write to the file; clears its set-id bits, or keeps them with CAP_FSETID"
)
