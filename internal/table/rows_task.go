package table

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/kernel"
)

// taskRows are the calls that a task may make only towards some other tasks, or
// only with a capability. The kernel executes them, unless they are refused.
var taskRows = []Row{
	// Signals.
	{Name: "kill", Handler: kernel.Kill, Args: []Arg{Int, Int}, Note: "EPERM towards processes of others"},
	{Name: "tkill", Handler: kernel.Tkill, Args: []Arg{Int, Int}, Note: "EPERM towards processes of others"},
	{Name: "tgkill", Handler: kernel.Tgkill, Args: []Arg{Int, Int, Int}, Note: "EPERM towards processes of others"},
	{Name: "rt_sigqueueinfo", Handler: kernel.RtSigqueueinfo, Args: []Arg{Int, Int, Ptr}, Note: "EPERM towards processes of others"},
	{Name: "rt_tgsigqueueinfo", Handler: kernel.RtTgsigqueueinfo, Args: []Arg{Int, Int, Int, Ptr}, Note: "EPERM towards processes of others"},
	{Name: "pidfd_send_signal", Handler: kernel.PidfdSendSignal, Args: []Arg{FD, Int, Ptr, Flags}, Note: "EPERM towards processes of others"},

	// Scheduling.
	{Name: "setpriority", Handler: kernel.Setpriority, Args: []Arg{Int, Int, Int}, Note: "of others: their owner, or CAP_SYS_NICE"},
	{Name: "ioprio_set", Handler: kernel.IoprioSet, Args: []Arg{Int, Int, Int}, Note: "of others: their owner, or CAP_SYS_NICE"},
	{Name: "sched_setscheduler", Handler: kernel.SchedSetscheduler, Args: []Arg{Int, Int, Ptr}, Note: "of others: their owner, or CAP_SYS_NICE"},
	{Name: "sched_setparam", Handler: kernel.SchedSetparam, Args: []Arg{Int, Ptr}, Note: "of others: their owner, or CAP_SYS_NICE"},
	{Name: "sched_setattr", Handler: kernel.SchedSetattr, Args: []Arg{Int, Ptr, Flags}, Note: "of others: their owner, or CAP_SYS_NICE"},
	{Name: "sched_setaffinity", Handler: kernel.SchedSetaffinity, Args: []Arg{Int, Size, Ptr}, Note: "of others: their owner, or CAP_SYS_NICE"},

	// Other processes' insides.
	{Name: "ptrace", Handler: kernel.Ptrace, Args: []Arg{Int, Int, Ptr, Ptr}, When: []ArgTest{
		{0, ^uint32(0), unix.PTRACE_ATTACH}, {0, ^uint32(0), unix.PTRACE_SEIZE},
	}, Note: "of others: CAP_SYS_PTRACE"},
	{Name: "process_vm_readv", Handler: kernel.ProcessVM, Args: []Arg{Int, Ptr, Size, Ptr, Size, Flags}, Note: "of others: CAP_SYS_PTRACE"},
	{Name: "process_vm_writev", Handler: kernel.ProcessVM, Args: []Arg{Int, Ptr, Size, Ptr, Size, Flags}, Note: "of others: CAP_SYS_PTRACE"},
	{Name: "kcmp", Handler: kernel.Kcmp, Args: []Arg{Int, Int, Int, Int, Int}, Note: "of others: CAP_SYS_PTRACE"},
	{Name: "pidfd_getfd", Handler: kernel.PidfdGetfd, Args: []Arg{FD, FD, Flags}, Note: "of others: CAP_SYS_PTRACE"},

	// Restraints.
	{Name: "seccomp", Handler: kernel.Seccomp, Args: []Arg{Int, Flags, Ptr}, When: []ArgTest{{0, ^uint32(0), unix.SECCOMP_SET_MODE_FILTER}}, Note: "no_new_privs, or CAP_SYS_ADMIN"},
	{Name: "landlock_restrict_self", Handler: kernel.LandlockRestrictSelf, Args: []Arg{FD, Flags}, Note: "no_new_privs, or CAP_SYS_ADMIN"},

	// The machine.
	{Name: "reboot", Handler: kernel.Needs(unix.CAP_SYS_BOOT), Args: []Arg{Flags, Flags, Flags, Ptr}, Note: "CAP_SYS_BOOT: the PID namespace's init"},

	// Names and mounts.
	{Name: "sethostname", Handler: kernel.Needs(unix.CAP_SYS_ADMIN), Args: []Arg{Ptr, Size}, Note: "CAP_SYS_ADMIN"},
	{Name: "setdomainname", Handler: kernel.Needs(unix.CAP_SYS_ADMIN), Args: []Arg{Ptr, Size}, Note: "CAP_SYS_ADMIN"},
	{Name: "mount", Handler: kernel.Mount, Args: []Arg{Path, Path, Path, Flags, Ptr}, Note: "CAP_SYS_ADMIN; without uid= and gid= that are not mapped"},
	{Name: "fsconfig", Handler: kernel.Fsconfig, Args: []Arg{FD, Int, Name, Name, Int}, When: []ArgTest{{1, ^uint32(0), unix.FSCONFIG_SET_STRING}}, Note: "without uid and gid that are not mapped"},
	{Name: "umount", Handler: kernel.Umount, Args: []Arg{Path}, Note: "CAP_SYS_ADMIN"},
	{Name: "umount2", Handler: kernel.Umount2, Args: []Arg{Path, Flags}, Note: "CAP_SYS_ADMIN"},
	{Name: "move_mount", Handler: kernel.Needs(unix.CAP_SYS_ADMIN), Args: []Arg{DirFD, Path, DirFD, Path, Flags}, Note: "CAP_SYS_ADMIN"},
	{Name: "open_tree", Handler: kernel.OpenTree, Args: []Arg{DirFD, Path, Flags}, When: openTreeClone, Note: "CAP_SYS_ADMIN"},
	{Name: "open_tree_attr", Handler: kernel.OpenTree, Args: []Arg{DirFD, Path, Flags, Ptr, Size}, When: openTreeClone, Note: "CAP_SYS_ADMIN"},
	{Name: "fsopen", Handler: kernel.Needs(unix.CAP_SYS_ADMIN), Args: []Arg{Path, Flags}, Note: "CAP_SYS_ADMIN"},
	{Name: "fspick", Handler: kernel.Needs(unix.CAP_SYS_ADMIN), Args: []Arg{DirFD, Path, Flags}, Note: "CAP_SYS_ADMIN"},
	{Name: "fsmount", Handler: kernel.Needs(unix.CAP_SYS_ADMIN), Args: []Arg{FD, Flags, Flags}, Note: "CAP_SYS_ADMIN"},
	{Name: "mount_setattr", Handler: kernel.MountSetattr, Args: []Arg{DirFD, Path, Flags, Ptr, Size}, Note: "CAP_SYS_ADMIN"},
}

var openTreeClone = []ArgTest{{2, unix.OPEN_TREE_CLONE, unix.OPEN_TREE_CLONE}}
