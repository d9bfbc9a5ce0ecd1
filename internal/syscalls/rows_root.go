package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
)

// rootRows are the calls that give a task another root directory or mount namespace.
// They continue if the caller has the capability. The supervisor notes that from then
// on, a path may lead the tasks of the container to different files.
var rootRows = []Row{
	{Name: "chroot", Handler: handlers.Chroot, Args: []Arg{Path}, Note: "needs CAP_SYS_CHROOT; " + rootNote},
	{Name: "fchroot", Handler: handlers.Fchroot, Args: []Arg{FD, Flags}, Note: "needs CAP_SYS_CHROOT, or no_new_privs for FD_FAILFS_ROOT; " + rootNote},
	{Name: "pivot_root", Handler: handlers.PivotRoot, Args: []Arg{Path, Path}, Note: "needs CAP_SYS_ADMIN; " + rootNote},
	{Name: "setns", Handler: handlers.Setns, Args: []Arg{FD, Flags}, Note: "needs CAP_SYS_ADMIN; " + rootNote},
	{Name: "unshare", Handler: handlers.Unshare, Args: []Arg{Flags}, When: namespaceTests(0, unix.CLONE_NEWTIME, handlers.UnshareEmptyMountNS), Note: "needs CAP_SYS_ADMIN; " + mountNSNote + usernsNote},
	{Name: "clone", Handler: handlers.Clone, Args: []Arg{Flags, Ptr, Ptr, Ptr, Ptr}, When: namespaceTests(0), Note: "needs CAP_SYS_ADMIN; " + mountNSNote + usernsNote},
	{Name: "clone3", Handler: handlers.Clone3, Args: []Arg{Ptr, Size}, Note: "new namespaces need CAP_SYS_ADMIN; " + mountNSNote},
}

const (
	rootNote    = "may change the root directory, which the supervisor notes"
	mountNSNote = "the supervisor notes CLONE_NEWNS"
	usernsNote  = " and CLONE_NEWUSER"
)

// namespaceTests returns one test for each flag in the given argument that creates a
// namespace: those of clone(2), and more.
func namespaceTests(argument uint, more ...uint32) []Condition {
	var tests []Condition
	for _, flag := range append([]uint32{unix.CLONE_NEWUSER, unix.CLONE_NEWNS, unix.CLONE_NEWCGROUP, unix.CLONE_NEWUTS, unix.CLONE_NEWIPC,
		unix.CLONE_NEWPID, unix.CLONE_NEWNET}, more...) {
		tests = append(tests, Condition{{argument, flag, flag}})
	}
	return tests
}
