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

// oneID returns the attributes of a process in a new user namespace that maps
// one id, root's, to the caller's, and in further new namespaces.
func oneID(namespaces uintptr) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | namespaces,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		// Who may not map other groups may not drop them either, and the
		// kernel wants that said before it takes the mapping.
		GidMappingsEnableSetgroups: false,
	}
}

// startProcess starts a child that waitFor will wait for.
func startProcess(exe string, argv []string, attr *os.ProcAttr) (pid int, err error) {
	own := &syscall.ProcAttr{Dir: attr.Dir, Env: attr.Env, Sys: attr.Sys}
	if own.Env == nil {
		own.Env = os.Environ()
	}
	for _, f := range attr.Files {
		own.Files = append(own.Files, f.Fd())
	}
	// Not os.StartProcess: it forks once more, to find out whether the kernel has
	// pidfds, and its Process does not tell of a child that stops.
	pid, err = syscall.ForkExec(exe, argv, own)
	runtime.KeepAlive(attr)
	if err != nil {
		// Which path could not be executed says nothing to the user here.
		err = errnoOf(err)
		if attr.Sys != nil && attr.Sys.Cloneflags&unix.CLONE_NEWUSER != 0 {
			return 0, userns.Explain(fmt.Errorf("creating a user namespace: %w", err))
		}
		return 0, fmt.Errorf("starting %s: %w", argv[0], err)
	}
	return pid, nil
}

// waitFor waits for the end of a child and returns its exit status as a shell
// would. With mirrorStop, the calling process stops when the child does: so
// that the shell that waits for the caller sees the stop, and its user can
// continue both.
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
			// It is continued together with us: see forwardSignals.
			if err := unix.Kill(unix.Getpid(), unix.SIGSTOP); err != nil {
				return StatusFailed, fmt.Errorf("stopping: %w", err)
			}
		default:
			return exitStatus(ws), nil
		}
	}
}

// exitStatus returns the exit status that a shell gives a process that ended.
func exitStatus(ws unix.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// errnoOf returns the errno in err, without the path and the name of the call,
// for messages that name the thing better; or err if there is none.
func errnoOf(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
