// Package launch starts programs under supervision without an OCI runtime.
//
// Exec runs a program on the host's own files:
//
//	front (Exec) -> stage -> CMD
//
// Run runs a program in a container:
//
//	front (Run) -> init, pid 1 of the container -> stage -> CMD
//
// The stage is a process of this same program in the new user namespace. It
// installs the seccomp filter on itself and, once its listener is served,
// executes CMD. The front and the init stay outside of the filter.
package launch

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// ExecOptions says what Exec is to run.
type ExecOptions struct {
	Args       []string          // the program and its arguments
	Supervisor supervisor.Config // but for its ID
}

// Exec runs a program on the host's own files in a user namespace that maps
// one id, under supervision, and returns its exit status. In a tree that is
// supervised already the program takes the place of the caller.
func Exec(o ExecOptions) (status int, err error) {
	if supervisor.Active() {
		warnIneffective(o.Supervisor)
		return execute(o.Args)
	}
	o.Supervisor.ID = fmt.Sprintf("exec-%d", os.Getpid())
	sup, err := supervisor.Prepare(o.Supervisor)
	if err != nil {
		return StatusFailed, err
	}
	defer sup.Close()
	// The stage stays in our process group, as CMD would be without us.
	// A mount namespace too: mount(2) is for the owner of one, as root is.
	st, err := startStage(o.Args, stageAttr{sys: oneID(unix.CLONE_NEWNS), inherit: true, noPermissions: o.Supervisor.NoPermissions})
	if err != nil {
		return StatusFailed, err
	}
	sup.Enter(st.pid)
	if err := serveStage(st, sup); err != nil {
		if errors.Is(err, errStageEnded) {
			return waitFor(st.pid, false)
		}
		return StatusFailed, errors.Join(err, killAndReap(st.pid))
	}
	interactive := isTerminal(os.Stdin)
	var skip []os.Signal
	if interactive {
		// The command gets them too. We are not to act on them ourselves: it
		// may handle them, and if it stops, waitFor stops us.
		skip = sentByTerminal
	}
	go forwardSignals(catchSignals(append(forwardable(), unix.SIGTSTP)), st.pid, skip...)
	if err := st.release(); err != nil {
		return StatusFailed, errors.Join(err, killAndReap(st.pid))
	}
	return waitFor(st.pid, interactive)
}

// serveStage takes the listener of the stage and gives it to the supervisor.
func serveStage(st *stage, sup *supervisor.Prepared) error {
	listener, err := st.listener()
	if err != nil {
		return err
	}
	defer listener.Close()
	return sup.Serve(supervisor.Process{Listener: listener, Pid: st.pid, User: &identity.User{}})
}

// killAndReap ends a child that must not go on.
func killAndReap(pid int) error {
	if err := unix.Kill(pid, unix.SIGKILL); err != nil && err != unix.ESRCH {
		return fmt.Errorf("killing process %d: %w", pid, err)
	}
	_, err := waitFor(pid, false)
	return err
}

// warnIneffective tells a nested caller which options of its supervisor have no effect.
func warnIneffective(cfg supervisor.Config) {
	if cfg.Trace != "" {
		fmt.Fprintln(os.Stderr, "subuidless: --trace has no effect here: the outer subuidless answers the calls, and only its own --trace records them")
	}
	if cfg.NoPermissions {
		fmt.Fprintln(os.Stderr, "subuidless: --permissions=off has no effect here: the outer subuidless answers the calls, and its own --permissions counts")
	}
	if cfg.Sidecar != "" {
		fmt.Fprintln(os.Stderr, "subuidless: --sidecar has no effect here: the outer subuidless answers the calls, and records owners in its own sidecar")
	}
}
