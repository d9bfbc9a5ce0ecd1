package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
)

// taskRows are the calls that act on other tasks, or need a capability. The kernel
// executes what the caller's identity permits.
var taskRows = []Row{
	// Signals.
	{Name: "kill", Handler: handlers.Kill, Args: []Arg{Int, Int}, Note: signalNote},
	{Name: "tkill", Handler: handlers.Tkill, Args: []Arg{Int, Int}, Note: signalNote},
	{Name: "tgkill", Handler: handlers.Tgkill, Args: []Arg{Int, Int, Int}, Note: signalNote},
	{Name: "rt_sigqueueinfo", Handler: handlers.RtSigqueueinfo, Args: []Arg{Int, Int, Ptr}, Note: signalNote},
	{Name: "rt_tgsigqueueinfo", Handler: handlers.RtTgsigqueueinfo, Args: []Arg{Int, Int, Int, Ptr}, Note: signalNote},
	{Name: "pidfd_send_signal", Handler: handlers.PidfdSendSignal, Args: []Arg{FD, Int, Ptr, Flags}, Note: signalNote},

	// Scheduling.
	{Name: "setpriority", Handler: handlers.Setpriority, Args: []Arg{Int, Int, Int}, Note: niceNote},
	{Name: "ioprio_set", Handler: handlers.IoprioSet, Args: []Arg{Int, Int, Int}, Note: niceNote},
	{Name: "sched_setscheduler", Handler: handlers.SchedSetscheduler, Args: []Arg{Int, Int, Ptr}, Note: niceNote},
	{Name: "sched_setparam", Handler: handlers.SchedSetparam, Args: []Arg{Int, Ptr}, Note: niceNote},
	{Name: "sched_setattr", Handler: handlers.SchedSetattr, Args: []Arg{Int, Ptr, Flags}, Note: niceNote},
	{Name: "sched_setaffinity", Handler: handlers.SchedSetaffinity, Args: []Arg{Int, Size, Ptr}, Note: niceNote},

	// Memory, descriptors and state of other processes.
	{Name: "ptrace", Handler: handlers.Ptrace, Args: []Arg{Int, Int, Ptr, Ptr}, When: []Condition{
		{{0, ^uint32(0), unix.PTRACE_ATTACH}}, {{0, ^uint32(0), unix.PTRACE_SEIZE}},
	}, Note: ptraceNote},
	{Name: "process_vm_readv", Handler: handlers.ProcessVM, Args: []Arg{Int, Ptr, Size, Ptr, Size, Flags}, Note: ptraceNote},
	{Name: "process_vm_writev", Handler: handlers.ProcessVM, Args: []Arg{Int, Ptr, Size, Ptr, Size, Flags}, Note: ptraceNote},
	{Name: "kcmp", Handler: handlers.Kcmp, Args: []Arg{Int, Int, Int, Int, Int}, Note: ptraceNote},
	{Name: "get_robust_list", Handler: handlers.GetRobustList, Args: []Arg{Int, Ptr, Ptr}, Note: ptraceNote},
	{Name: "move_pages", Handler: handlers.MovePages, Args: []Arg{Int, Size, Ptr, Ptr, Ptr, Flags}, Note: ptraceNote},
	{Name: "migrate_pages", Handler: handlers.MigratePages, Args: []Arg{Int, Size, Ptr, Ptr}, Note: ptraceNote},
	{Name: "perf_event_open", Handler: handlers.PerfEventOpen, Args: []Arg{Ptr, Int, Int, FD, Flags}, Note: "EACCES for processes of other users, without CAP_PERFMON"},
	{Name: "process_madvise", Handler: handlers.ProcessMadvise, Args: []Arg{FD, Ptr, Size, Int, Flags}, Note: "EACCES for processes of other users, without CAP_SYS_PTRACE; for other processes, also needs CAP_SYS_NICE outside of the container"},
	{Name: "pidfd_getfd", Handler: handlers.PidfdGetfd, Args: []Arg{FD, FD, Flags}, Note: ptraceNote},

	// Sandboxing.
	{Name: "seccomp", Handler: handlers.Seccomp, Args: []Arg{Int, Flags, Ptr}, When: []Condition{{{0, ^uint32(0), unix.SECCOMP_SET_MODE_FILTER}}}, Note: restrictNote},
	{Name: "landlock_restrict_self", Handler: handlers.LandlockRestrictSelf, Args: []Arg{FD, Flags}, Note: restrictNote},

	// The machine.
	{Name: "reboot", Handler: handlers.Needs(unix.CAP_SYS_BOOT), Args: []Arg{Flags, Flags, Flags, Ptr}, Note: "needs CAP_SYS_BOOT; ends the init of the PID namespace"},

	// Names and mounts.
	{Name: "sethostname", Handler: handlers.Needs(unix.CAP_SYS_ADMIN), Args: []Arg{Ptr, Size}, Note: "needs CAP_SYS_ADMIN"},
	{Name: "setdomainname", Handler: handlers.Needs(unix.CAP_SYS_ADMIN), Args: []Arg{Ptr, Size}, Note: "needs CAP_SYS_ADMIN"},
	{Name: "mount", Handler: handlers.Mount, Args: []Arg{Path, Path, Path, Flags, Ptr}, Note: "needs CAP_SYS_ADMIN; uid= and gid= options with unmapped ids are dropped; a new tmpfs, and the workdir of an overlay, belong to the caller; a sysfs that the kernel refuses, because the network namespace is the host's, shows the loopback device only"},
	{Name: "fsconfig", Handler: handlers.Fsconfig, Args: []Arg{FD, Int, Name, Name, Int}, When: []Condition{{{1, ^uint32(0), unix.FSCONFIG_SET_STRING}}}, Note: "uid and gid options with unmapped ids are dropped; the workdir of an overlay belongs to the caller"},
	{Name: "umount", Handler: handlers.Umount, Args: []Arg{Path}, Note: "needs CAP_SYS_ADMIN"},
	{Name: "umount2", Handler: handlers.Umount2, Args: []Arg{Path, Flags}, Note: "needs CAP_SYS_ADMIN"},
	{Name: "move_mount", Handler: handlers.MoveMount, Args: []Arg{DirFD, Path, DirFD, Path, Flags}, Note: "needs CAP_SYS_ADMIN; a new tmpfs belongs to the caller"},
	{Name: "open_tree", Handler: handlers.OpenTree, Args: []Arg{DirFD, Path, Flags}, Checks: ChecksMore, WhenUnchecked: openTreeClone, Note: openTreeNote},
	{Name: "open_tree_attr", Handler: handlers.OpenTree, Args: []Arg{DirFD, Path, Flags, Ptr, Size}, Checks: ChecksMore, WhenUnchecked: openTreeClone, Note: openTreeNote},
	{Name: "fsopen", Handler: handlers.Needs(unix.CAP_SYS_ADMIN), Args: []Arg{Path, Flags}, Note: "needs CAP_SYS_ADMIN"},
	{Name: "fspick", Handler: handlers.Needs(unix.CAP_SYS_ADMIN), Args: []Arg{DirFD, Path, Flags}, Note: "needs CAP_SYS_ADMIN"},
	{Name: "fsmount", Handler: handlers.Needs(unix.CAP_SYS_ADMIN), Args: []Arg{FD, Flags, Flags}, Note: "needs CAP_SYS_ADMIN"},
	{Name: "statmount", Handler: handlers.Statmount, Args: []Arg{Ptr, Ptr, Size, Flags}, Note: "of mounts that the caller cannot reach: needs CAP_SYS_ADMIN"},
	{Name: "listmount", Handler: handlers.Listmount, Args: []Arg{Ptr, Ptr, Size, Flags}, Note: "of mounts that the caller cannot reach: needs CAP_SYS_ADMIN"},
	{Name: "mount_setattr", Handler: handlers.MountSetattr, Args: []Arg{DirFD, Path, Flags, Ptr, Size}, Note: "needs CAP_SYS_ADMIN"},
}

// openTreeClone selects calls that clone a mount.
var openTreeClone = []Condition{
	{{2, unix.OPEN_TREE_CLONE, unix.OPEN_TREE_CLONE}},
	{{2, handlers.OpenTreeNamespace, handlers.OpenTreeNamespace}},
}

const (
	openTreeNote = "continues if the caller may search the path; a copy needs CAP_SYS_ADMIN"
	signalNote   = "EPERM for processes of other users, without CAP_KILL"
	niceNote     = "EPERM for processes of other users, without CAP_SYS_NICE"
	ptraceNote   = "EPERM for processes of other users, without CAP_SYS_PTRACE"
	restrictNote = "needs no_new_privs or CAP_SYS_ADMIN"
)
