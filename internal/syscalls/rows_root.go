package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
)

// rootRows are the calls by which a task sees another file tree. The kernel
// executes them, unless the task is nobody who may; then the supervisor learns that
// paths no longer mean the same to every task.
var rootRows = []Row{
	{Name: "chroot", Handler: handlers.Chroot, Args: []Arg{Path}, Note: "CAP_SYS_CHROOT; watched"},
	{Name: "pivot_root", Handler: handlers.PivotRoot, Args: []Arg{Path, Path}, Note: "CAP_SYS_ADMIN; watched"},
	{Name: "setns", Handler: handlers.Setns, Args: []Arg{FD, Flags}, Note: "CAP_SYS_ADMIN; watched"},
	{Name: "unshare", Handler: handlers.Unshare, Args: []Arg{Flags}, When: namespaceTests(0, unix.CLONE_NEWTIME), Note: "CAP_SYS_ADMIN; watched for CLONE_NEWNS"},
	{Name: "clone", Handler: handlers.Clone, Args: []Arg{Flags, Ptr, Ptr, Ptr, Ptr}, When: namespaceTests(0), Note: "CAP_SYS_ADMIN; watched for CLONE_NEWNS"},
	{Name: "clone3", Handler: handlers.Clone3, Args: []Arg{Ptr, Size}, Note: "CAP_SYS_ADMIN for namespaces; watched for CLONE_NEWNS"},
}

// namespaceTests are those for the flags that need CAP_SYS_ADMIN, one each.
func namespaceTests(argument uint, more ...uint32) []ArgTest {
	var tests []ArgTest
	for _, flag := range append([]uint32{unix.CLONE_NEWNS, unix.CLONE_NEWCGROUP, unix.CLONE_NEWUTS, unix.CLONE_NEWIPC,
		unix.CLONE_NEWPID, unix.CLONE_NEWNET}, more...) {
		tests = append(tests, ArgTest{argument, flag, flag})
	}
	return tests
}
