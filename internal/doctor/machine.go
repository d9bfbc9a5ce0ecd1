package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

func knownArchitecture(*Machine) (string, error) {
	switch runtime.GOARCH {
	case "amd64", "arm64":
		return runtime.GOARCH, nil
	}
	return "", fmt.Errorf("%s is not supported, only amd64 and arm64", runtime.GOARCH)
}

// ptraceAllowed looks at Yama. The supervisor has CAP_SYS_PTRACE in the
// container's user namespace, so only the strictest setting stops it.
func ptraceAllowed(*Machine) (string, error) {
	const path = "/proc/sys/kernel/yama/ptrace_scope"
	scope, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "this kernel has no Yama to restrict it", nil
	}
	if err != nil {
		return "", err
	}
	value := strings.TrimSpace(string(scope))
	if value == "3" {
		return "", errors.New("kernel.yama.ptrace_scope is 3: ask the administrator for 2 or less (takes a reboot)")
	}
	return "kernel.yama.ptrace_scope is " + value + ", which does no harm", nil
}

// unlimitedLocks looks at the limit in which the identity of a process is kept.
func unlimitedLocks(*Machine) (string, error) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_LOCKS, &l); err != nil {
		return "", fmt.Errorf("getrlimit(RLIMIT_LOCKS): %w", err)
	}
	if l.Max != unix.RLIM_INFINITY {
		return "", fmt.Errorf("the hard limit of RLIMIT_LOCKS, which has had no effect since Linux 2.4.25, is %d: make it unlimited (ulimit -H -x, or limits.conf(5))", l.Max)
	}
	return "unlimited, so that identities of processes can be kept there", nil
}

// pidfdGetfd copies a descriptor of this very process.
func pidfdGetfd(*Machine) (string, error) {
	pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return "", fmt.Errorf("pidfd_open: %w", err)
	}
	defer unix.Close(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, pidfd, 0)
	if err != nil {
		return "", fmt.Errorf("pidfd_getfd: %w", err)
	}
	return "", unix.Close(fd)
}

// ioUring explains why programs will not find io_uring inside.
func ioUring(*Machine) (string, error) {
	const answer = "io_uring_setup fails with ENOSYS inside: what a ring does bypasses seccomp"
	switch setting, _ := os.ReadFile("/proc/sys/kernel/io_uring_disabled"); strings.TrimSpace(string(setting)) {
	case "2":
		return answer + " (and it is off here anyway)", nil
	default:
		return answer, nil
	}
}
