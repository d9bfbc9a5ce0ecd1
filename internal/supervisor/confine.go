package supervisor

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/filter"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// The memory of a keeper or worker, in bytes. Busy ones with a thousand tasks use a tenth of the
// first. Beyond it, the garbage is collected more often; beyond the second, the process dies of a
// failed allocation, and is replaced.
const (
	softMemory = 256 << 20
	maxMemory  = 1 << 30
)

// confine gives up what keeper and worker do not need, before the process has to do with anything
// of a container: see docs/security.md. Processes that this one starts inherit the filter, no_new_privs
// and the limit; so the filter is installed once, however often keeper and worker replace each
// other.
func confine() error {
	return errors.Join(raiseAddressSpace(), limitMemory(), denyCalls())
}

// limitMemory limits the memory of this process. Shared memory, as that of the journal, and address
// space that is only reserved do not count: see RLIMIT_DATA in getrlimit(2).
func limitMemory() error {
	debug.SetMemoryLimit(softMemory)
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_DATA, &l); err != nil {
		return fmt.Errorf("getrlimit(RLIMIT_DATA): %w", err)
	}
	l.Cur, l.Max = min(l.Cur, maxMemory), min(l.Max, maxMemory)
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &l); err != nil {
		return fmt.Errorf("setrlimit(RLIMIT_DATA): %w", err)
	}
	return nil
}

// hide makes this process, a worker, not dumpable: it leaves no core file with the memory of tasks, and
// processes without CAP_SYS_PTRACE in its user namespace cannot trace it (prctl(2)). execve(2) resets
// that. A keeper reads no memory, and its user may want to inspect it.
func hide() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl(PR_SET_DUMPABLE): %w", err)
	}
	return nil
}

// denyCalls denies the system calls that keeper and worker never make, and new privileges, unless
// the process has inherited that.
func denyCalls() error {
	if unix.Prctl(filter.ConfinedProbe, 0, 0, 0, 0) == unix.EALREADY {
		return nil
	}
	prog, err := filter.CompileDenials(runtime.GOARCH)
	if err != nil {
		return err
	}
	return unotify.Confine(prog)
}

// outerFilters returns the number of seccomp filters under which subuidless has been started: this process
// has these, and that of denyCalls.
func outerFilters() (int, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(sys.StatusField(status, "Seccomp_filters"))
	if err != nil {
		return 0, fmt.Errorf("/proc/self/status: Seccomp_filters: %w", err)
	}
	return n - 1, nil
}
