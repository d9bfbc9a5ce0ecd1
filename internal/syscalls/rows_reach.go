package syscalls

import "github.com/rootless-containers/subuidless/internal/handlers"

// reachRows are the calls that the kernel executes if the caller may reach what they name.
var reachRows = []Row{
	{Name: "access", Handler: handlers.Access, Args: []Arg{Path, Flags}, Checks: ChecksOnly, Note: "by the caller's real ids"},
	{Name: "faccessat", Handler: handlers.Faccessat, Args: []Arg{DirFD, Path, Flags}, Checks: ChecksOnly, Note: "by the caller's real ids"},
	{Name: "faccessat2", Handler: handlers.Faccessat2, Args: []Arg{DirFD, Path, Flags, Flags}, Checks: ChecksOnly, Note: "by the caller's real ids, or with AT_EACCESS by the effective ones"},
	{Name: "readlink", Handler: handlers.Readlink, Args: []Arg{Path, Ptr, Size}, Checks: ChecksOnly, When: unlessRealpath(2), Note: "the kernel's own if the caller may search the path; realpath(3) of the GNU C library passes by"},
	{Name: "readlinkat", Handler: handlers.Readlinkat, Args: []Arg{DirFD, Path, Ptr, Size}, Checks: ChecksOnly, When: unlessRealpath(3), Note: "the kernel's own if the caller may search the path; realpath(3) of the GNU C library passes by"},
	{Name: "chdir", Handler: handlers.Chdir, Args: []Arg{Path}, Checks: ChecksOnly, Note: "the kernel's own if the caller may search the directory"},
	{Name: "fchdir", Handler: handlers.Fchdir, Args: []Arg{FD}, Checks: ChecksOnly, Note: "the kernel's own if the caller may search the directory"},
	{Name: "truncate", Handler: handlers.Truncate, I386: handlers.Truncate32, Args: []Arg{Path, Size}, Checks: ChecksOnly, Note: "the kernel's own if the caller may write to the file; set-id bits"},
	{Name: "truncate64", Handler: handlers.Truncate64, Args: []Arg{Path, Size, Size}, Checks: ChecksOnly, Note: "the kernel's own if the caller may write to the file; set-id bits"},
	{Name: "statfs", Handler: handlers.Reach(0), Args: []Arg{Path, Ptr}, Checks: ChecksOnly, Note: "the kernel's own if the caller may search the path"},
	{Name: "statfs64", Handler: handlers.Reach(0), Args: []Arg{Path, Size, Ptr}, Checks: ChecksOnly, Note: "the kernel's own if the caller may search the path"},
	{Name: "name_to_handle_at", Handler: handlers.NameToHandleAt, Args: []Arg{DirFD, Path, Ptr, Ptr, Flags}, Checks: ChecksOnly, Note: "the kernel's own if the caller may search the path"},
	{Name: "inotify_add_watch", Handler: handlers.InotifyAddWatch, Args: []Arg{FD, Path, Flags}, Checks: ChecksOnly, Note: "the kernel's own if the caller may read the file"},
	{Name: "connect", Handler: handlers.Connect, Args: []Arg{FD, Ptr, Size}, Checks: ChecksOnly, Note: "of a unix socket to a path: the kernel's own if the caller may write to the socket"},
}

// realpathSize is the size of the buffer that realpath(3) of the GNU C library gives to
// readlink(2), for each name of a path.
const realpathSize = 1023

// unlessRealpath are the tests for all other sizes, argument index. Of the calls with a path
// that a compiler makes, more than half are those of realpath(3), which looks at every directory
// of every header: to notify them, too, would make a build of C files take a tenth longer.
func unlessRealpath(index uint) []ArgTest {
	var tests []ArgTest
	for bit := uint32(1); bit < 1<<16; bit <<= 1 {
		tests = append(tests, ArgTest{index, bit, ^uint32(realpathSize) & bit})
	}
	return tests
}
