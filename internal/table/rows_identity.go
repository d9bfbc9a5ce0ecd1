package table

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/kernel"
)

// identityRows are the calls that change and show who a task is.
var identityRows = []Row{
	{Name: "setuid", Handler: kernel.Setuid, I386: kernel.Setuid16, Args: []Arg{ID}, Note: changesNote},
	{Name: "setuid32", Handler: kernel.Setuid, Args: []Arg{ID}, Note: changesNote},
	{Name: "setgid", Handler: kernel.Setgid, I386: kernel.Setgid16, Args: []Arg{ID}, Note: changesNote},
	{Name: "setgid32", Handler: kernel.Setgid, Args: []Arg{ID}, Note: changesNote},
	{Name: "setreuid", Handler: kernel.Setreuid, I386: kernel.Setreuid16, Args: []Arg{ID, ID}, Note: changesNote},
	{Name: "setreuid32", Handler: kernel.Setreuid, Args: []Arg{ID, ID}, Note: changesNote},
	{Name: "setregid", Handler: kernel.Setregid, I386: kernel.Setregid16, Args: []Arg{ID, ID}, Note: changesNote},
	{Name: "setregid32", Handler: kernel.Setregid, Args: []Arg{ID, ID}, Note: changesNote},
	{Name: "setresuid", Handler: kernel.Setresuid, I386: kernel.Setresuid16, Args: []Arg{ID, ID, ID}, Note: changesNote},
	{Name: "setresuid32", Handler: kernel.Setresuid, Args: []Arg{ID, ID, ID}, Note: changesNote},
	{Name: "setresgid", Handler: kernel.Setresgid, I386: kernel.Setresgid16, Args: []Arg{ID, ID, ID}, Note: changesNote},
	{Name: "setresgid32", Handler: kernel.Setresgid, Args: []Arg{ID, ID, ID}, Note: changesNote},
	{Name: "setfsuid", Handler: kernel.Setfsuid, I386: kernel.Setfsuid16, Args: []Arg{ID}, Note: "never fails; credentials(7)"},
	{Name: "setfsuid32", Handler: kernel.Setfsuid, Args: []Arg{ID}, Note: "never fails; credentials(7)"},
	{Name: "setfsgid", Handler: kernel.Setfsgid, I386: kernel.Setfsgid16, Args: []Arg{ID}, Note: "never fails; credentials(7)"},
	{Name: "setfsgid32", Handler: kernel.Setfsgid, Args: []Arg{ID}, Note: "never fails; credentials(7)"},
	{Name: "setgroups", Handler: kernel.Setgroups, I386: kernel.Setgroups16, Args: []Arg{Size, Ptr}, Note: groupsNote},
	{Name: "setgroups32", Handler: kernel.Setgroups, Args: []Arg{Size, Ptr}, Note: groupsNote},

	{Name: "getuid", Handler: kernel.Getuid, I386: kernel.Getuid16, Args: []Arg{}, Note: showsNote},
	{Name: "getuid32", Handler: kernel.Getuid, Args: []Arg{}, Note: showsNote},
	{Name: "geteuid", Handler: kernel.Geteuid, I386: kernel.Geteuid16, Args: []Arg{}, Note: showsNote},
	{Name: "geteuid32", Handler: kernel.Geteuid, Args: []Arg{}, Note: showsNote},
	{Name: "getgid", Handler: kernel.Getgid, I386: kernel.Getgid16, Args: []Arg{}, Note: showsNote},
	{Name: "getgid32", Handler: kernel.Getgid, Args: []Arg{}, Note: showsNote},
	{Name: "getegid", Handler: kernel.Getegid, I386: kernel.Getegid16, Args: []Arg{}, Note: showsNote},
	{Name: "getegid32", Handler: kernel.Getegid, Args: []Arg{}, Note: showsNote},
	{Name: "getresuid", Handler: kernel.Getresuid, I386: kernel.Getresuid16, Args: []Arg{Ptr, Ptr, Ptr}, Note: showsNote},
	{Name: "getresuid32", Handler: kernel.Getresuid, Args: []Arg{Ptr, Ptr, Ptr}, Note: showsNote},
	{Name: "getresgid", Handler: kernel.Getresgid, I386: kernel.Getresgid16, Args: []Arg{Ptr, Ptr, Ptr}, Note: showsNote},
	{Name: "getresgid32", Handler: kernel.Getresgid, Args: []Arg{Ptr, Ptr, Ptr}, Note: showsNote},
	{Name: "getgroups", Handler: kernel.Getgroups, I386: kernel.Getgroups16, Args: []Arg{Size, Ptr}, Note: groupsNote},
	{Name: "getgroups32", Handler: kernel.Getgroups, Args: []Arg{Size, Ptr}, Note: groupsNote},

	{Name: "capget", Handler: kernel.Capget, Args: []Arg{Ptr, Ptr}, Note: "the kernel's own until somebody changes ids or capabilities"},
	{Name: "capset", Handler: kernel.Capset, Args: []Arg{Ptr, Ptr}, Note: "the kernel's own for a runtime before the container's program"},
	{Name: "prctl", Handler: kernel.Prctl, Args: []Arg{Int, Int, Int, Int, Int}, When: []ArgTest{
		option(unix.PR_GET_KEEPCAPS), option(unix.PR_SET_KEEPCAPS),
		option(unix.PR_GET_SECUREBITS), option(unix.PR_SET_SECUREBITS),
		option(unix.PR_CAPBSET_READ), option(unix.PR_CAPBSET_DROP), option(unix.PR_CAP_AMBIENT),
		option(unix.PR_GET_TIMERSLACK), option(unix.PR_SET_TIMERSLACK), option(unix.PR_SET_MM),
		option(unix.PR_GET_DUMPABLE), option(unix.PR_SET_DUMPABLE), option(unix.PR_SET_SECCOMP),
	}, Note: "capabilities; dumpable; PR_SET_TIMERSLACK, because a thread's timer slack may hold its identity; PR_SET_MM is watched; PR_SET_SECCOMP needs no_new_privs or CAP_SYS_ADMIN"},

	{Name: "getrlimit", Handler: kernel.Getrlimit, I386: kernel.GetrlimitOld, Args: []Arg{Int, Ptr}, When: locks(0), Note: locksNote},
	{Name: "ugetrlimit", Handler: kernel.Getrlimit32, Args: []Arg{Int, Ptr}, When: locks(0), Note: locksNote},
	{Name: "setrlimit", Handler: kernel.Setrlimit, I386: kernel.Setrlimit32, Args: []Arg{Int, Ptr}, When: locks(0), Note: locksNote},
	{Name: "prlimit64", Handler: kernel.Prlimit, Args: []Arg{Int, Int, Ptr, Ptr}, When: locks(1), Note: locksNote},
}

// option is the test for an option of prctl.
func option(value uint32) ArgTest { return ArgTest{Index: 0, Mask: 1<<32 - 1, Value: value} }

// locks is the test for a resource argument.
func locks(index uint) []ArgTest {
	return []ArgTest{{Index: index, Mask: 1<<32 - 1, Value: unix.RLIMIT_LOCKS}}
}

const (
	changesNote = "by the rules of credentials(7) and capabilities(7)"
	showsNote   = "the kernel's own until somebody changes an id"
	groupsNote  = "any groups, up to NGROUPS_MAX"
	locksNote   = "RLIMIT_LOCKS, which holds the identity of the process"
)
