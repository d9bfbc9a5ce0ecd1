package doctor

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/accelerate"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/syscalls"
)

// threadPidfds checks PIDFD_THREAD.
func threadPidfds(*Machine) (string, error) {
	fd, err := unix.PidfdOpen(os.Getpid(), unix.PIDFD_THREAD)
	if err != nil {
		return "", fmt.Errorf("pidfd_open(PIDFD_THREAD): %w", err)
	}
	return "", unix.Close(fd)
}

// protectedSettings checks whether users may read the settings of the kernel that supervisors
// follow.
func protectedSettings(*Machine) (string, error) {
	const path = "/proc/sys/fs/protected_hardlinks"
	st, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if st.Mode().Perm()&0o004 == 0 {
		return "", fmt.Errorf("only root can read %s", path)
	}
	return "", nil
}

// overwritesConstants checks whether a supervisor may change code and constants of processes.
func overwritesConstants(*Machine) (string, error) {
	if err := sys.OverwritesConstants(); err != nil {
		return "", err
	}
	return "proc_mem.force_override allows it, or is unknown to this kernel", nil
}

// accelerated checks whether processes can answer system calls themselves.
func accelerated(*Machine) (string, error) {
	if err := accelerate.Supported(); err != nil {
		return "", err
	}
	return "they answer most system calls on files themselves", nil
}

// newCalls reports system calls of this kernel that this version of subuidless does not know.
func newCalls(*Machine) (string, error) {
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return "", fmt.Errorf("finding out whether this kernel has unknown calls: %w", err)
	}
	defer f.Close()
	unknown, err := unknownCalls(f)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", f.Name(), err)
	}
	if len(unknown) == 0 {
		return "this version knows all calls of this kernel", nil
	}
	return fmt.Sprintf("this kernel is newer than this version: %s fail with ENOSYS in containers; update subuidless", strings.Join(unknown, ", ")), nil
}

// unknownCalls returns the names of the calls in the symbols of a kernel that are not in the table
// of system calls.
func unknownCalls(kallsyms io.Reader) ([]string, error) {
	// The symbol of the function that the kernel's table of system calls names. Compiled here, as every
	// process of the program would pay for a variable of the package.
	entryPoint := regexp.MustCompile(`\b__(?:x64|arm64)_sys_(\w+)$`)
	// Entry points of calls with other names, of other processors, and of 32-bit programs.
	otherNames := regexp.MustCompile(`16$|_?time32$|^clock_\w+32$|^timer\w+32$|^(?:ia32|s390|pciconfig|spu|old)_?|^new(?:stat|lstat|fstat|uname)$` +
		`|^(?:gethostname|llseek|mmap_pgoff|ni_syscall|recv|rtas|send|stime32|subpage_prot|sync_file_range2|utime32|rt_sigtimedwait_time32)$`)
	var unknown []string
	lines := bufio.NewScanner(kallsyms)
	for lines.Scan() {
		m := entryPoint.FindStringSubmatch(lines.Text())
		if m != nil && !otherNames.MatchString(m[1]) && !syscalls.Known(m[1]) {
			unknown = append(unknown, m[1])
		}
	}
	slices.Sort(unknown)
	return slices.Compact(unknown), lines.Err()
}
