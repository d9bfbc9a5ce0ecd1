package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
)

// taskRows are the calls that a task may make only towards some other tasks, or
// only with a capability. The kernel executes them, unless they are refused.
var taskRows = []Row{
	// Signals.
	{Name: "kill", Handler: handlers.Kill, Args: []Arg{Int, Int}, Note: "EPERM towards processes of others"},
	{Name: "tkill", Handler: handlers.Tkill, Args: []Arg{Int, Int}, Note: "EPERM towards processes of others"},
	{Name: "tgkill", Handler: handlers.Tgkill, Args: []Arg{Int, Int, Int}, Note: "EPERM towards processes of others"},
	{Name: "rt_sigqueueinfo", Handler: handlers.RtSigqueueinfo, Args: []Arg{Int, Int, Ptr}, Note: "EPERM towards processes of others"},
	{Name: "rt_tgsigqueueinfo", Handler: handlers.RtTgsigqueueinfo, Args: []Arg{Int, Int, Int, Ptr}, Note: "EPERM towards processes of others"},
	{Name: "pidfd_send_signal", Handler: handlers.PidfdSendSignal, Args: []Arg{FD, Int, Ptr, Flags}, Note: "EPERM towards processes of others"},

	// Scheduling.
	{Name: "setpriority", Handler: handlers.Setpriority, Args: []Arg{Int, Int, Int}, Note: "of others: their owner, or CAP_SYS_NICE"},
	{Name: "ioprio_set", Handler: handlers.IoprioSet, Args: []Arg{Int, Int, Int}, Note: "of others: their owner, or CAP_SYS_NICE"},
	{Name: "sched_setscheduler", Handler: handlers.SchedSetscheduler, Args: []Arg{Int, Int, Ptr}, Note: "of others: their owner, or CAP_SYS_NICE"},
	{Name: "sched_setparam", Handler: handlers.SchedSetparam, Args: []Arg{Int, Ptr}, Note: "of others: their owner, or CAP_SYS_NICE"},
	{Name: "sched_setattr", Handler: handlers.SchedSetattr, Args: []Arg{Int, Ptr, Flags}, Note: "of others: their owner, or CAP_SYS_NICE"},
	{Name: "sched_setaffinity", Handler: handlers.SchedSetaffinity, Args: []Arg{Int, Size, Ptr}, Note: "of others: their owner, or CAP_SYS_NICE"},

	// Other processes' insides.
	{Name: "ptrace", Handler: handlers.Ptrace, Args: []Arg{Int, Int, Ptr, Ptr}, When: []ArgTest{
		{0, ^uint32(0), unix.PTRACE_ATTACH}, {0, ^uint32(0), unix.PTRACE_SEIZE},
	}, Note: "of others: CAP_SYS_PTRACE"},
	{Name: "process_vm_readv", Handler: handlers.ProcessVM, Args: []Arg{Int, Ptr, Size, Ptr, Size, Flags}, Note: "of others: CAP_SYS_PTRACE"},
	{Name: "process_vm_writev", Handler: handlers.ProcessVM, Args: []Arg{Int, Ptr, Size, Ptr, Size, Flags}, Note: "of others: CAP_SYS_PTRACE"},
	{Name: "kcmp", Handler: handlers.Kcmp, Args: []Arg{Int, Int, Int, Int, Int}, Note: "of others: CAP_SYS_PTRACE"},
	{Name: "pidfd_getfd", Handler: handlers.PidfdGetfd, Args: []Arg{FD, FD, Flags}, Note: "of others: CAP_SYS_PTRACE"},

	// Restraints.
	{Name: "seccomp", Handler: handlers.Seccomp, Args: []Arg{Int, Flags, Ptr}, When: []ArgTest{{0, ^uint32(0), unix.SECCOMP_SET_MODE_FILTER}}, Note: "no_new_privs, or CAP_SYS_ADMIN"},
	{Name: "landlock_restrict_self", Handler: handlers.LandlockRestrictSelf, Args: []Arg{FD, Flags}, Note: "no_new_privs, or CAP_SYS_ADMIN"},

	// The machine.
	{Name: "reboot", Handler: handlers.Needs(unix.CAP_SYS_BOOT), Args: []Arg{Flags, Flags, Flags, Ptr}, Note: "CAP_SYS_BOOT: the PID namespace's init"},

	// Names and mounts.
	{Name: "sethostname", Handler: handlers.Needs(unix.CAP_SYS_ADMIN), Args: []Arg{Ptr, Size}, Note: "CAP_SYS_ADMIN"},
	{Name: "setdomainname", Handler: handlers.Needs(unix.CAP_SYS_ADMIN), Args: []Arg{Ptr, Size}, Note: "CAP_SYS_ADMIN"},
	{Name: "mount", Handler: handlers.Mount, Args: []Arg{Path, Path, Path, Flags, Ptr}, Note: "CAP_SYS_ADMIN; without uid= and gid= that are not mapped"},
	{Name: "fsconfig", Handler: handlers.Fsconfig, Args: []Arg{FD, Int, Name, Name, Int}, When: []ArgTest{{1, ^uint32(0), unix.FSCONFIG_SET_STRING}}, Note: "without uid and gid that are not mapped"},
	{Name: "umount", Handler: handlers.Umount, Args: []Arg{Path}, Note: "CAP_SYS_ADMIN"},
	{Name: "umount2", Handler: handlers.Umount2, Args: []Arg{Path, Flags}, Note: "CAP_SYS_ADMIN"},
	{Name: "move_mount", Handler: handlers.Needs(unix.CAP_SYS_ADMIN), Args: []Arg{DirFD, Path, DirFD, Path, Flags}, Note: "CAP_SYS_ADMIN"},
	{Name: "open_tree", Handler: handlers.OpenTree, Args: []Arg{DirFD, Path, Flags}, When: openTreeClone, Note: "CAP_SYS_ADMIN"},
	{Name: "open_tree_attr", Handler: handlers.OpenTree, Args: []Arg{DirFD, Path, Flags, Ptr, Size}, When: openTreeClone, Note: "CAP_SYS_ADMIN"},
	{Name: "fsopen", Handler: handlers.Needs(unix.CAP_SYS_ADMIN), Args: []Arg{Path, Flags}, Note: "CAP_SYS_ADMIN"},
	{Name: "fspick", Handler: handlers.Needs(unix.CAP_SYS_ADMIN), Args: []Arg{DirFD, Path, Flags}, Note: "CAP_SYS_ADMIN"},
	{Name: "fsmount", Handler: handlers.Needs(unix.CAP_SYS_ADMIN), Args: []Arg{FD, Flags, Flags}, Note: "CAP_SYS_ADMIN"},
	{Name: "mount_setattr", Handler: handlers.MountSetattr, Args: []Arg{DirFD, Path, Flags, Ptr, Size}, Note: "CAP_SYS_ADMIN"},
}

var openTreeClone = []ArgTest{{2, unix.OPEN_TREE_CLONE, unix.OPEN_TREE_CLONE}}
