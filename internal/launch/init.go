package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/containerd/console"
	"golang.org/x/sys/unix"
)

// InitName is the name (argv[0]) of the container's init.
const InitName = "subuidless-init"

// The descriptors that the front gives to the init, after the standard ones.
const (
	initSocket = 3
	initSpec   = 4
)

// InitMain is pid 1 of the container: it sets the container up, starts the
// command, passes signals on to it, reaps orphans, and ends with the command's
// status. With it the kernel ends whatever is left in the container.
func InitMain() int {
	socket := os.NewFile(initSocket, "socket")
	status, err := initMain(socket)
	if err != nil {
		// If the front has gone there is nobody left to tell.
		_ = sendError(socket, err)
	}
	return status
}

func initMain(socket *os.File) (status int, err error) {
	unix.CloseOnExec(initSocket)
	signals := catchSignals(forwardable())
	c, err := readSpec()
	if err != nil {
		return StatusFailed, err
	}
	if err := c.setUp(); err != nil {
		return StatusFailed, err
	}
	stdio, err := c.openStdio(socket)
	if err != nil {
		return StatusFailed, err
	}
	st, err := c.startCommand(stdio)
	if err != nil {
		return StatusFailed, err
	}
	go forwardSignals(signals, st.pid)
	if err := c.release(st, socket); err != nil && !errors.Is(err, errStageEnded) {
		return StatusFailed, err
	}
	return reapUntil(st.pid)
}

func readSpec() (*container, error) {
	f := os.NewFile(initSpec, "container")
	defer f.Close()
	c := new(container)
	if err := json.NewDecoder(f).Decode(c); err != nil {
		return nil, fmt.Errorf("reading the container's configuration: %w", err)
	}
	return c, nil
}

// startCommand starts the stage of the command.
func (c *container) startCommand(stdio []*os.File) (*stage, error) {
	attr := stageAttr{
		env:           c.Process.Env,
		stdio:         stdio,
		noPermissions: c.NoPermissions,
		unfiltered:    !c.Supervised,
		user:          &c.Process.User,
		// Also without a terminal: a session of its own keeps the command
		// from pushing input into the terminal that the front may have.
		sys: &syscall.SysProcAttr{Setsid: true, Setctty: c.Terminal},
	}
	if err := os.Chdir(c.Process.Cwd); err != nil {
		return nil, fmt.Errorf("working directory %s in the rootfs: %w", c.Process.Cwd, errnoOf(err))
	}
	st, err := startStage(c.Process.Args, attr)
	if err != nil {
		return nil, err
	}
	return st, letGo(stdio)
}

// release lets the command run when the front says so. From then on the end of
// the front is the container's.
func (c *container) release(st *stage, front *os.File) error {
	if err := c.reportReady(st, front); err != nil {
		return err
	}
	if _, _, err := receive(front); err != nil {
		return fmt.Errorf("waiting for the supervisor: %w", err)
	}
	go endWith(front)
	return st.release()
}

// reportReady tells the front that the container is set up, with the listener
// of the stage if it is to be served.
func (c *container) reportReady(st *stage, front *os.File) error {
	if !c.Supervised {
		return sendText(front, ready)
	}
	listener, err := st.listener()
	if err != nil {
		return err
	}
	defer listener.Close()
	return sendFile(front, listener)
}

// endWith ends the container when the front has ended, however that came.
func endWith(front *os.File) {
	// It sends nothing more: what comes is the end of it.
	_, _, _ = receive(front)
	os.Exit(StatusFailed)
}

// letGo gives up what the init does not need while the command runs: a
// directory that may be unmounted, and the ends of pipes whose other end waits
// for all to be closed. A container process could also reach them in /proc/1/fd.
func letGo(stdio []*os.File) error {
	if stdio[0] != os.Stdin {
		if err := stdio[0].Close(); err != nil {
			return err
		}
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	for fd := range 3 {
		if err := unix.Dup3(int(null.Fd()), fd, 0); err != nil {
			return fmt.Errorf("dup3: %w", err)
		}
	}
	return nil
}

// openStdio returns the command's standard input, output and error. With a
// terminal, that is a new one, whose master side the front gets.
func (c *container) openStdio(socket *os.File) ([]*os.File, error) {
	if !c.Terminal {
		return []*os.File{os.Stdin, os.Stdout, os.Stderr}, nil
	}
	master, name, err := console.NewPty()
	if err != nil {
		return nil, fmt.Errorf("opening a terminal in the container: %w", err)
	}
	defer master.Close()
	slave, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a terminal in the container: %w", err)
	}
	if err := bindConsole(name); err != nil {
		return nil, err
	}
	return []*os.File{slave, slave, slave}, sendFile(socket, master)
}

// reapUntil reaps children, orphans among them, until pid has ended, and
// returns its exit status.
func reapUntil(pid int) (status int, err error) {
	for {
		var ws unix.WaitStatus
		ended, err := unix.Wait4(-1, &ws, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return StatusFailed, fmt.Errorf("waiting for the command: %w", err)
		case ended == pid:
			return exitStatus(ws), nil
		}
	}
}
