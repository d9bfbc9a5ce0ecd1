package filter

import (
	"cmp"
	"fmt"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/syscalls"
)

// Denials are the system calls that keeper and worker never make, and that would help an attacker
// that has taken over one of them. Everything else is allowed: the calls of handlers depend on what
// tasks do, and those of the Go runtime on its version and the kernel's, so a list of allowed calls
// would fail in the field. This list can be checked against the source
// (TestSupervisorMakesNoDeniedCalls in test/deps).
var Denials = []Denial{
	{"they change the machine, not a container", []string{
		"acct", "adjtimex", "clock_adjtime", "clock_settime", "create_module", "delete_module", "finit_module",
		"init_module", "ioperm", "iopl", "kexec_file_load", "kexec_load", "nfsservctl", "quotactl", "quotactl_fd",
		"reboot", "setdomainname", "sethostname", "settimeofday", "swapoff", "swapon", "syslog", "vhangup",
	}},
	{"they reach much code of the kernel that exploits have used", []string{
		"add_key", "bpf", "fanotify_init", "io_cancel", "io_destroy", "io_getevents", "io_setup",
		"io_submit", "io_uring_enter", "io_uring_register", "io_uring_setup", "keyctl", "lookup_dcookie",
		"memfd_secret", "modify_ldt", "perf_event_open", "personality", "remap_file_pages", "request_key",
		"userfaultfd", "uselib", "vmsplice",
	}},
	{"they control other processes; the worker reads and writes their memory only", []string{
		"mbind", "migrate_pages", "move_pages", "process_madvise", "process_mrelease", "ptrace", "set_mempolicy",
		"set_mempolicy_home_node",
	}},
	{"they change the container's mounts, or open files without a path", []string{
		"mount", "mount_setattr", "open_by_handle_at", "open_tree_attr", "pivot_root", "umount2",
	}},
	{"the kernel's ids of keeper and worker never change", []string{
		"setfsgid", "setfsuid", "setgid", "setgroups", "setregid", "setresgid", "setresuid", "setreuid", "setuid",
	}},
}

// Denial is a group of system calls that keeper and worker do not make.
type Denial struct {
	Why   string
	Calls []string // the names of man pages
}

// ConfinedProbe is an option of prctl(2) that no kernel has: there it fails with EINVAL. Under
// the program of CompileDenials it fails with EALREADY.
const ConfinedProbe = 0x53755564

// probed are calls that a worker makes with all bits set in their flags, the argument probedFlags, to
// find out whether the kernel has them (sys.Lacks): EINVAL or ENOSYS.
var probed = []string{"mount_setattr", "open_tree_attr"}

const probedFlags = 2

// trap kills a Go program with a message that names the thread, and a dump of its stack. An
// error number would be mistaken for the kernel's answer.
var trap = bpf.RetConstant{Val: unix.SECCOMP_RET_TRAP}

// CompileDenials returns the program that confines keeper and worker on a machine of the given
// GOARCH: the process that makes a call of Denials, or one of another ABI than that of goarch, gets
// SIGSYS. Calls that subuidless does not know fail with ENOSYS, as in Compile. The error is that of
// syscalls.Arches.
//
// All verdicts except those on prctl and on probed calls depend on the number only: the kernel's
// action cache (Linux 5.11) skips the program for allowed calls.
func CompileDenials(goarch string) ([]bpf.RawInstruction, error) {
	arches, err := syscalls.Arches(goarch)
	if err != nil {
		return nil, err
	}
	native := arches[0]
	prctl, _ := (&syscalls.Row{Name: "prctl"}).Number(native)
	calls := []call{{uint32(prctl), []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArgs, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: ConfinedProbe, SkipTrue: 1},
		allow,
		bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.EALREADY)},
	}}}
	for _, d := range Denials {
		for _, name := range d.Calls {
			if nr, ok := (&syscalls.Row{Name: name}).Number(native); ok {
				verdict := []bpf.Instruction{trap}
				if slices.Contains(probed, name) {
					verdict = []bpf.Instruction{
						bpf.LoadAbsolute{Off: offArgs + 8*probedFlags, Size: 4},
						bpf.JumpIf{Cond: bpf.JumpEqual, Val: ^uint32(0), SkipTrue: 1},
						trap,
						allow,
					}
				}
				calls = append(calls, call{uint32(nr), verdict})
			}
		}
	}
	slices.SortFunc(calls, func(x, y call) int { return cmp.Compare(x.nr, y.nr) })
	prog := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: native.Audit(), SkipTrue: 1},
		trap,
		bpf.LoadAbsolute{Off: offNR, Size: 4},
	}
	prog = appendSearch(prog, calls, []bpf.Instruction{
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: uint32(native.Highest()), SkipTrue: 1}, allow,
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: firstNegative, SkipFalse: 1}, allow, // see compileRest
		enosys,
	})
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return nil, fmt.Errorf("assembling the seccomp filter of the supervisor: %w", err)
	}
	return raw, nil
}
