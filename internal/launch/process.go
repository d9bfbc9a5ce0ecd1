package launch

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/userns"
)

// startProcess starts a child process. The caller must wait for it with waitFor.
func startProcess(exe string, argv []string, attr *os.ProcAttr) (pid int, err error) {
	own := &syscall.ProcAttr{Dir: attr.Dir, Env: attr.Env, Sys: attr.Sys}
	if own.Env == nil {
		own.Env = os.Environ()
	}
	for _, f := range attr.Files {
		own.Files = append(own.Files, f.Fd())
	}
	// Not os.StartProcess: it forks once more to check whether the kernel has pidfds, and
	// os.Process does not report that a child has stopped.
	pid, err = syscall.ForkExec(exe, argv, own)
	runtime.KeepAlive(attr)
	if err != nil {
		// The path of this program, which the error names, does not help the user.
		err = errnoOf(err)
		if attr.Sys != nil && attr.Sys.Cloneflags&unix.CLONE_NEWUSER != 0 {
			return 0, userns.Explain(fmt.Errorf("creating a user namespace: %w", err))
		}
		return 0, fmt.Errorf("starting %s: %w", argv[0], err)
	}
	return pid, nil
}

// waitFor waits until the child pid ends, and returns its exit status as a shell would. With
// mirrorStop, the calling process stops itself when the child stops, so that the shell which
// started the caller notices, and its user can continue both.
func waitFor(pid int, mirrorStop bool) (status int, err error) {
	options := 0
	if mirrorStop {
		options = unix.WUNTRACED
	}
	for {
		var ws unix.WaitStatus
		_, err := unix.Wait4(pid, &ws, options, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return StatusFailed, fmt.Errorf("waiting for process %d: %w", pid, err)
		case ws.Stopped():
			// SIGCONT continues both: see forwardSignals.
			if err := unix.Kill(unix.Getpid(), unix.SIGSTOP); err != nil {
				return StatusFailed, fmt.Errorf("stopping together with process %d: %w", pid, err)
			}
		default:
			return exitStatus(ws), nil
		}
	}
}

// exitStatus returns the exit status that a shell reports for ws: 128+N for signal N.
func exitStatus(ws unix.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// errnoOf returns the errno in err without the path and the name of the call, for messages
// that say these better. It returns err if that has no errno.
func errnoOf(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
