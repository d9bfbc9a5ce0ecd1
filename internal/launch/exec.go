package launch

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/isolation"
	"github.com/rootless-containers/subuidless/internal/supervisor"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// ExecOptions are the options of Exec.
type ExecOptions struct {
	Args   []string   // the command and its arguments; at least one
	Env    []string   // its environment; nil: the caller's
	Stdio  []*os.File // its standard streams; nil: the caller's
	Setsid bool       // run it in a new session of the terminal: setsid(2)
	View   *View      // what it sees of the host's files; nil: all. StartIn ignores it
	// User is the identity of the command; nil: root. StartIn ignores it.
	User *identity.User
	// Summary has Run write a summary of all notifications to standard error, like strace -c; of a
	// session, those of all its commands meanwhile.
	Summary    bool
	Supervisor supervisor.Config // Exec sets the ID
}

// Exec runs a command under supervision on the host's own files, in a user namespace that
// maps the caller's id to root, and returns the command's exit status, with 128 added to the
// number of a signal that killed it. If err is not nil, the status is one of the Status
// constants.
//
// If the caller has all ids already, because it is supervised or root of isolation.Chroot, Exec
// replaces the calling process with the command: it then returns only on failure.
func Exec(o ExecOptions) (status int, err error) {
	if mode := isolation.Current(); mode.NativeOwners() {
		warnIneffective(o.Supervisor, o.Summary, mode)
		return executeIn(o.View, accountOf(o.User), o.Args, o.Env)
	}
	o.Supervisor.ID = fmt.Sprintf("exec-%d", os.Getpid())
	c, err := Start(o)
	if err != nil {
		return StatusFailed, err
	}
	return c.Run()
}

// Command is a command that is supervised and waits for Run.
type Command struct {
	stage   *stage
	ended   bool    // before it was supervised: it has told the user why
	summary summary // written by Run
}

// Start starts the supervisor o.Supervisor and the stage of the command, in new user and
// mount namespaces. The caller must call Run.
func Start(o ExecOptions) (*Command, error) {
	o.Supervisor.TimeAll, o.Supervisor.Standby = o.Summary, true
	sup, err := supervisor.Prepare(o.Supervisor)
	if err != nil {
		return nil, err
	}
	defer sup.Close()
	// The stage stays in the front's process group, so that a shell's job control
	// affects the command as if the shell had started it. The new mount namespace belongs
	// to the new user namespace, so root can call mount(2) in it.
	attr := o.stageAttr()
	attr.sys = newProcAttr(unix.CLONE_NEWNS)
	attr.sys.Setsid = o.Setsid
	attr.view, attr.user = o.View, accountOf(o.User)
	st, err := startStage(o.Args, attr)
	if err != nil {
		return nil, err
	}
	sup.Enter(st.pid)
	c, err := supervise(st, o.User, sup.Serve)
	if err != nil || !o.Summary || c.ended {
		return c, err
	}
	if c.summary, err = newSummary(sup); err != nil {
		return nil, errors.Join(err, killAndReap(st.pid))
	}
	return c, nil
}

// StartIn starts the command in the namespaces of a session, whose supervisor
// serves it. The configuration of that supervisor stays as it is, except for the filter:
// o.Supervisor.NoPermissions must be that of the session. The caller must call Run.
func StartIn(o ExecOptions, session *supervisor.Entry) (*Command, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("working directory: %w", errnoOf(err))
	}
	attr := o.stageAttr()
	attr.entry, attr.place = session, userns.Place{MountNS: int(session.MountNS.Fd()), Dir: dir, Setsid: o.Setsid}
	st, err := startIn(o.Args, attr)
	if err != nil {
		return nil, err
	}
	c, err := supervise(st, nil, session.Join)
	if err != nil || !o.Summary || c.ended {
		return c, err
	}
	if c.summary, err = newSummaryOf(session); err != nil {
		return nil, errors.Join(err, killAndReap(st.pid))
	}
	return c, nil
}

// stageAttr returns the attributes of the command's stage, without its namespaces.
func (o *ExecOptions) stageAttr() stageAttr {
	return stageAttr{env: o.Env, stdio: o.Stdio, inherit: true, noPermissions: o.Supervisor.NoPermissions, accelerated: o.Supervisor.Accelerate > 0}
}

// supervise passes the listener of the stage, whose command runs as user (nil: root), to serve.
func supervise(st *stage, user *identity.User, serve func(supervisor.Process) error) (*Command, error) {
	listener, err := st.listener()
	if errors.Is(err, errStageEnded) {
		return &Command{stage: st, ended: true}, nil
	}
	if err == nil {
		defer listener.Close()
		if user == nil {
			user = new(identity.User)
		}
		err = serve(supervisor.Process{Listener: listener, Pid: st.pid, User: user})
	}
	if err != nil {
		return nil, errors.Join(err, killAndReap(st.pid))
	}
	return &Command{stage: st}, nil
}

// Ended reports whether the stage has ended before it was supervised, because there is no
// such command, for example. The user has been told why, and Run returns its status.
func (c *Command) Ended() bool { return c.ended }

// Abort ends the command instead of running it.
func (c *Command) Abort() error { return killAndReap(c.stage.pid) }

// Detach lets the command run. The returned channel is closed when it has ended.
func (c *Command) Detach() (ended <-chan struct{}, err error) {
	done := make(chan struct{})
	go func() {
		_, _ = waitFor(c.stage.pid, false)
		close(done)
	}()
	if c.ended {
		return done, nil
	}
	return done, c.stage.release()
}

// Run lets the command run, forwards signals to it, and returns its exit status: see Exec.
func (c *Command) Run() (status int, err error) {
	pid := c.stage.pid
	if c.ended {
		return waitFor(pid, false)
	}
	interactive := IsTerminal(os.Stdin)
	var skip []os.Signal
	if interactive {
		// The terminal sends these to the command, too. The front must not act on
		// them: the command may handle them, and if it stops, waitFor stops the
		// front.
		skip = sentByTerminal
	}
	go forwardSignals(catchSignals(append(forwardable(), unix.SIGTSTP)), pid, skip...)
	if err := c.stage.release(); err != nil {
		status, err := c.stage.notReleased(err)
		return status, errors.Join(err, killAndReap(pid))
	}
	status, err = waitFor(pid, interactive)
	return status, errors.Join(err, c.summary.print(os.Stderr))
}

// killAndReap kills the child pid and waits for its end.
func killAndReap(pid int) error {
	if err := unix.Kill(pid, unix.SIGKILL); err != nil && err != unix.ESRCH {
		return fmt.Errorf("killing process %d: %w", pid, err)
	}
	_, err := waitFor(pid, false)
	return err
}

// warnIneffective warns the user about options that have no effect, because they concern the
// supervisor, and there is an outer one, or none.
func warnIneffective(cfg supervisor.Config, summary bool, mode isolation.Mode) {
	reason := "the outer subuidless handles the system calls, and has options of its own"
	if mode == isolation.Chroot {
		reason = "the kernel gives the container its ids, so that nothing is supervised"
	}
	for _, o := range []struct {
		name string
		set  bool
	}{
		{"--trace", cfg.Trace != ""},
		{"--trace-summary", summary},
		{"--permissions=off", cfg.NoPermissions},
		{"--accelerate=on", cfg.Accelerate > 0},
		{"--sidecar", cfg.Sidecar != ""},
	} {
		if o.set {
			fmt.Fprintf(os.Stderr, "subuidless: %s has no effect here: %s\n", o.name, reason)
		}
	}
}
