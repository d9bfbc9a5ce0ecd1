package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"unsafe"

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

func getxattrat(*Machine) (string, error) {
	path, err := unix.BytePtrFromString("/")
	if err != nil {
		return "", err
	}
	name, err := unix.BytePtrFromString(probeXattr)
	if err != nil {
		return "", err
	}
	var args struct { // struct xattr_args
		value       uint64
		size, flags uint32
	}
	dirFD := unix.AT_FDCWD
	_, _, e := unix.Syscall6(unix.SYS_GETXATTRAT, uintptr(dirFD), uintptr(unsafe.Pointer(path)), 0,
		uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(&args)), unsafe.Sizeof(args))
	if e == unix.ENOSYS || e == unix.EPERM {
		return "", fmt.Errorf("getxattrat: %w", e)
	}
	return "", nil
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
