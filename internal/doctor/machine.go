package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/isolation"
)

// knownArchitecture checks whether subuidless supports the processor.
func knownArchitecture(*Machine) (string, error) {
	switch runtime.GOARCH {
	case "amd64", "arm64":
		return runtime.GOARCH, nil
	}
	return "", fmt.Errorf("%s is not supported, only amd64 and arm64", runtime.GOARCH)
}

// ptraceAllowed checks the setting of Yama, which applies to process_vm_readv(2), too. The
// supervisor has CAP_SYS_PTRACE in the container's user namespace, so only the strictest
// setting prevents it from reading the memory of tasks.
func ptraceAllowed(*Machine) (string, error) {
	const path = "/proc/sys/kernel/yama/ptrace_scope"
	scope, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "not restricted: this kernel does not have Yama", nil
	}
	if err != nil {
		return "", err
	}
	value := strings.TrimSpace(string(scope))
	if value == "3" {
		return "", errors.New("kernel.yama.ptrace_scope is 3: ask the administrator to set it to 2 or less (requires a reboot)")
	}
	return "kernel.yama.ptrace_scope is " + value + ", which allows it", nil
}

// unlimitedLocks checks the resource limit in which the identity of a process is stored.
func unlimitedLocks(*Machine) (string, error) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_LOCKS, &l); err != nil {
		return "", fmt.Errorf("getrlimit(RLIMIT_LOCKS): %w", err)
	}
	if l.Max != unix.RLIM_INFINITY {
		return "", fmt.Errorf("the hard limit RLIMIT_LOCKS, which has had no effect since Linux 2.4.25, is %d: set it to unlimited (ulimit -H -x, or limits.conf(5))", l.Max)
	}
	return "unlimited, so subuidless can store process identities there", nil
}

// pidfdGetfd checks pidfd_getfd(2).
func pidfdGetfd(*Machine) (string, error) { return "", isolation.TryPidfdGetfd() }

// ioUring explains why io_uring is not available in a container.
func ioUring(*Machine) (string, error) {
	const answer = "io_uring_setup fails with ENOSYS in containers, because io_uring bypasses seccomp"
	switch setting, _ := os.ReadFile("/proc/sys/kernel/io_uring_disabled"); strings.TrimSpace(string(setting)) {
	case "2":
		return answer + " (and is disabled on this machine)", nil
	default:
		return answer, nil
	}
}
