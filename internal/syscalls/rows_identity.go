package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
)

// identityRows are the calls that change and show the identity of a task.
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
	{Name: "setfsuid", Handler: handlers.Setfsuid, I386: handlers.Setfsuid16, Args: []Arg{ID}, Note: fsNote},
	{Name: "setfsuid32", Handler: handlers.Setfsuid, Args: []Arg{ID}, Note: fsNote},
	{Name: "setfsgid", Handler: handlers.Setfsgid, I386: handlers.Setfsgid16, Args: []Arg{ID}, Note: fsNote},
	{Name: "setfsgid32", Handler: handlers.Setfsgid, Args: []Arg{ID}, Note: fsNote},
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

	{Name: "capget", Handler: handlers.Capget, Args: []Arg{Ptr, Ptr}, Note: "continues until a task changes ids or capabilities"},
	{Name: "capset", Handler: handlers.Capset, Args: []Arg{Ptr, Ptr}, Note: "continues for a runtime that has not executed the container's program yet"},
	{Name: "prctl", Handler: handlers.Prctl, Args: []Arg{Int, Int, Int, Int, Int}, When: append(readsBounding(), []Condition{
		option(unix.PR_GET_KEEPCAPS), option(unix.PR_SET_KEEPCAPS),
		option(unix.PR_GET_SECUREBITS), option(unix.PR_SET_SECUREBITS),
		option(unix.PR_CAPBSET_DROP), option(unix.PR_CAP_AMBIENT),
		option(unix.PR_GET_TIMERSLACK), option(unix.PR_SET_TIMERSLACK), option(unix.PR_SET_MM),
		option(unix.PR_GET_DUMPABLE), option(unix.PR_SET_DUMPABLE), option(unix.PR_SET_SECCOMP),
	}...), Note: "capabilities and the dumpable attribute by the emulated identity; the timer slack may hold the identity of a thread; PR_SET_MM must not hide an `execve`; PR_SET_SECCOMP needs no_new_privs or CAP_SYS_ADMIN"},

	{Name: "getrlimit", Handler: handlers.Getrlimit, I386: handlers.GetrlimitOld, Args: []Arg{Int, Ptr}, When: rlimitLocks(0), Note: locksNote},
	{Name: "ugetrlimit", Handler: handlers.Getrlimit32, Args: []Arg{Int, Ptr}, When: rlimitLocks(0), Note: locksNote},
	{Name: "setrlimit", Handler: handlers.Setrlimit, I386: handlers.Setrlimit32, Args: []Arg{Int, Ptr}, When: rlimitLocks(0), Note: locksNote},
	{Name: "prlimit64", Handler: handlers.Prlimit, Args: []Arg{Int, Int, Ptr, Ptr}, When: append(notSelf(0), Condition{{1, 15, unix.RLIMIT_LOCKS}}), Note: locksNote + "; limits of other processes by the emulated ids"},
}

// option returns the test for an option of prctl(2).
func option(value uint32) Condition { return Condition{{Index: 0, Mask: 1<<32 - 1, Value: value}} }

// readsBounding returns tests for prctl(PR_CAPBSET_READ, capability) that hold for the
// capabilities up to CAP_LAST_CAP, which is 40. The kernel reports that others do not exist, which
// each program that is linked to libcap asks for at its start: four of six calls.
func readsBounding() []Condition {
	read := option(unix.PR_CAPBSET_READ)[0]
	return []Condition{
		{read, {1, 0x20, 0}},    // 0 to 31
		{read, {1, 0x38, 0x20}}, // 32 to 39
		{read, {1, 0x3f, 0x28}}, // 40
	}
}

// rlimitLocks returns the test for RLIMIT_LOCKS in argument index, a resource.
func rlimitLocks(index uint) []Condition {
	return []Condition{{{Index: index, Mask: 1<<32 - 1, Value: unix.RLIMIT_LOCKS}}}
}

// notSelf returns tests that hold for the process ids in argument index that are not 0, which
// stands for the caller. Process ids are less than PID_MAX_LIMIT, 1<<22: see proc_sys_kernel(5).
func notSelf(index uint) []Condition {
	var tests []Condition
	for bit := uint32(1); bit < 1<<22; bit <<= 1 {
		tests = append(tests, Condition{{index, bit, bit}})
	}
	return tests
}

const (
	changesNote = "changes the emulated ids by the rules of credentials(7) and capabilities(7)"
	fsNote      = "changes the emulated ids; never fails, as in the kernel"
	showsNote   = "continues until a task changes an id"
	groupsNote  = "any group ids, up to NGROUPS_MAX"
	locksNote   = "the kernel's RLIMIT_LOCKS holds the identity of the process; programs see the limit that they have set"
)
