package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
)

// identityRows are the calls that change and show who a task is.
var identityRows = []Row{
	{Name: "setuid", Handler: handlers.Setuid, I386: handlers.Setuid16, Args: []Arg{ID}, Note: changesNote},
	{Name: "setuid32", Handler: handlers.Setuid, Args: []Arg{ID}, Note: changesNote},
	{Name: "setgid", Handler: handlers.Setgid, I386: handlers.Setgid16, Args: []Arg{ID}, Note: changesNote},
	{Name: "setgid32", Handler: handlers.Setgid, Args: []Arg{ID}, Note: changesNote},
	{Name: "setreuid", Handler: handlers.Setreuid, I386: handlers.Setreuid16, Args: []Arg{ID, ID}, Note: changesNote},
	{Name: "setreuid32", Handler: handlers.Setreuid, Args: []Arg{ID, ID}, Note: changesNote},
	{Name: "setregid", Handler: handlers.Setregid, I386: handlers.Setregid16, Args: []Arg{ID, ID}, Note: changesNote},
	{Name: "setregid32", Handler: handlers.Setregid, Args: []Arg{ID, ID}, Note: changesNote},
	{Name: "setresuid", Handler: handlers.Setresuid, I386: handlers.Setresuid16, Args: []Arg{ID, ID, ID}, Note: changesNote},
	{Name: "setresuid32", Handler: handlers.Setresuid, Args: []Arg{ID, ID, ID}, Note: changesNote},
	{Name: "setresgid", Handler: handlers.Setresgid, I386: handlers.Setresgid16, Args: []Arg{ID, ID, ID}, Note: changesNote},
	{Name: "setresgid32", Handler: handlers.Setresgid, Args: []Arg{ID, ID, ID}, Note: changesNote},
	{Name: "setfsuid", Handler: handlers.Setfsuid, I386: handlers.Setfsuid16, Args: []Arg{ID}, Note: "never fails; credentials(7)"},
	{Name: "setfsuid32", Handler: handlers.Setfsuid, Args: []Arg{ID}, Note: "never fails; credentials(7)"},
	{Name: "setfsgid", Handler: handlers.Setfsgid, I386: handlers.Setfsgid16, Args: []Arg{ID}, Note: "never fails; credentials(7)"},
	{Name: "setfsgid32", Handler: handlers.Setfsgid, Args: []Arg{ID}, Note: "never fails; credentials(7)"},
	{Name: "setgroups", Handler: handlers.Setgroups, I386: handlers.Setgroups16, Args: []Arg{Size, Ptr}, Note: groupsNote},
	{Name: "setgroups32", Handler: handlers.Setgroups, Args: []Arg{Size, Ptr}, Note: groupsNote},

	{Name: "getuid", Handler: handlers.Getuid, I386: handlers.Getuid16, Args: []Arg{}, Note: showsNote},
	{Name: "getuid32", Handler: handlers.Getuid, Args: []Arg{}, Note: showsNote},
	{Name: "geteuid", Handler: handlers.Geteuid, I386: handlers.Geteuid16, Args: []Arg{}, Note: showsNote},
	{Name: "geteuid32", Handler: handlers.Geteuid, Args: []Arg{}, Note: showsNote},
	{Name: "getgid", Handler: handlers.Getgid, I386: handlers.Getgid16, Args: []Arg{}, Note: showsNote},
	{Name: "getgid32", Handler: handlers.Getgid, Args: []Arg{}, Note: showsNote},
	{Name: "getegid", Handler: handlers.Getegid, I386: handlers.Getegid16, Args: []Arg{}, Note: showsNote},
	{Name: "getegid32", Handler: handlers.Getegid, Args: []Arg{}, Note: showsNote},
	{Name: "getresuid", Handler: handlers.Getresuid, I386: handlers.Getresuid16, Args: []Arg{Ptr, Ptr, Ptr}, Note: showsNote},
	{Name: "getresuid32", Handler: handlers.Getresuid, Args: []Arg{Ptr, Ptr, Ptr}, Note: showsNote},
	{Name: "getresgid", Handler: handlers.Getresgid, I386: handlers.Getresgid16, Args: []Arg{Ptr, Ptr, Ptr}, Note: showsNote},
	{Name: "getresgid32", Handler: handlers.Getresgid, Args: []Arg{Ptr, Ptr, Ptr}, Note: showsNote},
	{Name: "getgroups", Handler: handlers.Getgroups, I386: handlers.Getgroups16, Args: []Arg{Size, Ptr}, Note: groupsNote},
	{Name: "getgroups32", Handler: handlers.Getgroups, Args: []Arg{Size, Ptr}, Note: groupsNote},

	{Name: "capget", Handler: handlers.Capget, Args: []Arg{Ptr, Ptr}, Note: "the kernel's own until somebody changes ids or capabilities"},
	{Name: "capset", Handler: handlers.Capset, Args: []Arg{Ptr, Ptr}, Note: "the kernel's own for a runtime before the container's program"},
	{Name: "prctl", Handler: handlers.Prctl, Args: []Arg{Int, Int, Int, Int, Int}, When: []ArgTest{
		option(unix.PR_GET_KEEPCAPS), option(unix.PR_SET_KEEPCAPS),
		option(unix.PR_GET_SECUREBITS), option(unix.PR_SET_SECUREBITS),
		option(unix.PR_CAPBSET_READ), option(unix.PR_CAPBSET_DROP), option(unix.PR_CAP_AMBIENT),
		option(unix.PR_GET_TIMERSLACK), option(unix.PR_SET_TIMERSLACK), option(unix.PR_SET_MM),
		option(unix.PR_GET_DUMPABLE), option(unix.PR_SET_DUMPABLE), option(unix.PR_SET_SECCOMP),
	}, Note: "capabilities; dumpable; PR_SET_TIMERSLACK, because a thread's timer slack may hold its identity; PR_SET_MM is watched; PR_SET_SECCOMP needs no_new_privs or CAP_SYS_ADMIN"},

	{Name: "getrlimit", Handler: handlers.Getrlimit, I386: handlers.GetrlimitOld, Args: []Arg{Int, Ptr}, When: locks(0), Note: locksNote},
	{Name: "ugetrlimit", Handler: handlers.Getrlimit32, Args: []Arg{Int, Ptr}, When: locks(0), Note: locksNote},
	{Name: "setrlimit", Handler: handlers.Setrlimit, I386: handlers.Setrlimit32, Args: []Arg{Int, Ptr}, When: locks(0), Note: locksNote},
	{Name: "prlimit64", Handler: handlers.Prlimit, Args: []Arg{Int, Int, Ptr, Ptr}, When: locks(1), Note: locksNote},
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
