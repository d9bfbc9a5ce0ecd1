package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// RunOptions says which container Run is to start.
type RunOptions struct {
	Rootfs   string   // directory
	Args     []string // the program and its arguments; none: /bin/sh
	User     string   // NAME|UID[:GROUP|:GID]; empty: root
	Env      []string // K=V, or K to pass the caller's on
	Workdir  string   // in the container; empty: /
	Volumes  []string // SRC:DST[:ro]
	Net      string   // NetHost or NetNone
	Hostname string   // empty: the host's
	ReadOnly bool     // the rootfs

	Supervisor supervisor.Config // but for its ID
}

// Run runs a program in a new container and returns its exit status. The
// container ends with its program, or with the caller.
func Run(o RunOptions) (status int, err error) {
	c, err := newContainer(o, isTerminal(os.Stdin) && isTerminal(os.Stdout))
	if err != nil {
		return StatusFailed, err
	}
	var sup *supervisor.Prepared
	if !c.Supervised {
		warnIneffective(o.Supervisor)
	} else {
		o.Supervisor.ID = fmt.Sprintf("run-%d", os.Getpid())
		if sup, err = supervisor.Prepare(o.Supervisor); err != nil {
			return StatusFailed, err
		}
		defer sup.Close()
	}
	pid, socket, err := startInit(c)
	if err != nil {
		return StatusFailed, err
	}
	// The init ends the container when it finds this closed.
	defer socket.Close()
	if sup != nil {
		sup.Enter(pid)
	}
	var term *terminal
	if c.Terminal {
		if term, err = relay(socket); err != nil {
			return StatusFailed, errors.Join(err, killAndReap(pid))
		}
		defer func() { err = errors.Join(err, term.restore()) }()
	}
	err = c.supervise(pid, socket, sup)
	if err != nil && !errors.Is(err, errStageEnded) {
		return StatusFailed, errors.Join(err, killAndReap(pid))
	}
	status, err = waitFor(pid, false)
	if term != nil {
		term.drain()
	}
	return status, err
}

// supervise waits until the container is set up, gives it to the supervisor (nil
// if an outer one serves it), and lets the command run.
func (c *container) supervise(pid int, socket *os.File, sup *supervisor.Prepared) error {
	_, listener, err := receive(socket)
	if errors.Is(err, io.EOF) {
		return errStageEnded // and init with it
	}
	if err != nil {
		return err
	}
	if listener != nil {
		defer listener.Close()
		if err := sup.Serve(supervisor.Process{Listener: listener, Pid: pid, User: c.Process.User.user()}); err != nil {
			return err
		}
	}
	go forwardSignals(catchSignals(forwardable()), pid)
	return sendText(socket, proceed)
}

// startInit starts the container's init and returns our end of the socket to it.
func startInit(c *container) (pid int, socket *os.File, err error) {
	// /proc/1/exe in the container is this program. A copy that nobody can
	// write to keeps the container from changing the host's.
	exe, err := sealedSelf()
	if err != nil {
		return 0, nil, err
	}
	defer exe.Close()
	spec, err := specFile(c)
	if err != nil {
		return 0, nil, err
	}
	defer spec.Close()
	ours, theirs, err := fdpass.Pair()
	if err != nil {
		return 0, nil, err
	}
	defer theirs.Close()
	// A descriptor that the caller has left open could lead out of the container.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		err = fmt.Errorf("close_range: %w (Linux 5.11 or later is needed)", err)
		return 0, nil, errors.Join(err, ours.Close())
	}
	attr := &os.ProcAttr{
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr, theirs, spec},
		Sys:   oneID(c.namespaces()),
		// Else the Go runtime keeps files of the host's cgroup open, which the
		// container could reach in /proc/1/fd.
		Env: []string{"GODEBUG=containermaxprocs=0"},
	}
	// Out of the terminal's reach: the front gets its signals and passes them on.
	attr.Sys.Setsid = true
	pid, err = startProcess(fmt.Sprintf("/proc/self/fd/%d", exe.Fd()), []string{InitName}, attr)
	if err != nil {
		return 0, nil, errors.Join(err, ours.Close())
	}
	return pid, ours, nil
}

// specFile returns a file with c in it. A command line would show the
// environment to everybody on the host.
func specFile(c *container) (*os.File, error) {
	f, err := memfd("container", 0)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(f).Encode(c); err != nil {
		return nil, errors.Join(fmt.Errorf("writing the container's configuration: %w", err), f.Close())
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(fmt.Errorf("rewinding the container's configuration: %w", err), f.Close())
	}
	return f, nil
}
