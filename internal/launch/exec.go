package launch

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/supervisor"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// ExecOptions are the options of Exec.
type ExecOptions struct {
	Args       []string          // the command and its arguments; at least one
	Supervisor supervisor.Config // Exec sets the ID
}

// Exec runs a command under supervision on the host's own files, in a user namespace that
// maps the caller's id to root, and returns the command's exit status, with 128 added to the
// number of a signal that killed it. If err is not nil, the status is one of the Status
// constants.
//
// If the caller is supervised already, Exec replaces the calling process with the command:
// it then returns only on failure.
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
	// The stage stays in the front's process group, so that a shell's job control
	// affects the command as if the shell had started it. The new mount namespace belongs
	// to the new user namespace, so root can call mount(2) in it.
	st, err := startStage(o.Args, stageAttr{sys: userns.NewProcAttr(unix.CLONE_NEWNS), inherit: true, noPermissions: o.Supervisor.NoPermissions})
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
		// The terminal sends these to the command, too. The front must not act on
		// them: the command may handle them, and if it stops, waitFor stops the
		// front.
		skip = sentByTerminal
	}
	go forwardSignals(catchSignals(append(forwardable(), unix.SIGTSTP)), st.pid, skip...)
	if err := st.release(); err != nil {
		return StatusFailed, errors.Join(err, killAndReap(st.pid))
	}
	return waitFor(st.pid, interactive)
}

// serveStage passes the listener of the stage to the supervisor.
func serveStage(st *stage, sup *supervisor.Prepared) error {
	listener, err := st.listener()
	if err != nil {
		return err
	}
	defer listener.Close()
	return sup.Serve(supervisor.Process{Listener: listener, Pid: st.pid, User: &identity.User{}})
}

// killAndReap kills the child pid and waits for its end.
func killAndReap(pid int) error {
	if err := unix.Kill(pid, unix.SIGKILL); err != nil && err != unix.ESRCH {
		return fmt.Errorf("killing process %d: %w", pid, err)
	}
	_, err := waitFor(pid, false)
	return err
}

// warnIneffective warns the user of a nested call about options that have no effect, because
// they concern the supervisor, and the outer call has started that.
func warnIneffective(cfg supervisor.Config) {
	if cfg.Trace != "" {
		fmt.Fprintln(os.Stderr, "subuidless: --trace has no effect here: the outer subuidless handles the system calls; give --trace to that one")
	}
	if cfg.NoPermissions {
		fmt.Fprintln(os.Stderr, "subuidless: --permissions=off has no effect here: the outer subuidless handles the system calls; give --permissions to that one")
	}
	if cfg.Sidecar != "" {
		fmt.Fprintln(os.Stderr, "subuidless: --sidecar has no effect here: the outer subuidless handles the system calls, and stores owners in its own sidecar")
	}
}
