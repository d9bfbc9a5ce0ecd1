package supervisor

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/kernel"
)

// Start starts a keeper and a worker for a new container. Listener is its
// seccomp listener, and pid a process in it, as the caller sees it. Start
// returns when the worker answers, or with the reason why it cannot. The
// keeper and the worker outlive the caller, and end when no task is left that
// the listener applies to. The caller keeps its own copy of listener, and
// should close it. While the caller lives, what the two log appears on its
// standard error.
func Start(cfg Config, listener *os.File, pid int) error {
	fds, err := openRequest(listener, pid)
	if err != nil {
		return err
	}
	defer closeAll(fds[1:])
	c, theirs, err := socketpair()
	if err != nil {
		return err
	}
	defer c.Close()
	defer theirs.Close()
	logs, log, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{KeeperName, cfg.ID}
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{theirs, log}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	log.Close()
	if err != nil {
		logs.Close()
		return fmt.Errorf("starting the supervisor: %w", err)
	}
	go func() {
		// Ends with the keeper and its worker.
		_, _ = io.Copy(os.Stderr, logs)
		logs.Close()
		_ = cmd.Wait()
	}()
	theirs.Close()
	if err := c.request(message{Config: &cfg}, fds...); err != nil {
		return fmt.Errorf("starting the supervisor of process %d: %w", pid, err)
	}
	return nil
}

// openRequest returns the descriptors of a request. The first one is listener's own.
func openRequest(listener *os.File, pid int) ([]int, error) {
	proc := "/proc/" + strconv.Itoa(pid)
	fds := []int{fdListener: int(listener.Fd())}
	for _, f := range []struct {
		name  string
		flags int
	}{
		{"/ns/user", unix.O_RDONLY},
		{"/ns/mnt", unix.O_RDONLY},
		{"/root", unix.O_PATH | unix.O_DIRECTORY},
	} {
		fd, err := unix.Open(proc+f.name, f.flags|unix.O_CLOEXEC, 0)
		if err != nil {
			closeAll(fds[1:])
			return nil, fmt.Errorf("open %s: %w (the process is gone, or belongs to somebody else)", proc+f.name, err)
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

// Active tells whether the calling process is supervised by subuidless already.
func Active() bool {
	name := append([]byte(kernel.Probe), 0)
	root := [...]byte{'/', 0}
	n, _, e := unix.Syscall6(unix.SYS_GETXATTR, uintptr(unsafe.Pointer(&root[0])), uintptr(unsafe.Pointer(&name[0])), 0, 0, 0, 0)
	return e == 0 && n == 1
}
