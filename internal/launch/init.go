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

// InitName is argv[0] of the init: a process with this name must call InitMain.
const InitName = "subuidless-init"

// The descriptors that the init inherits from the front, besides the standard streams.
const (
	initSocket = 3 // connects to the front: see socket.go
	initSpec   = 4 // holds the container as JSON
	initListen = 5 // the control socket, if container.Control: see control.go
	initProcs  = 6 // lets commands enter the container's cgroup, if container.Cgroup: see cgroup.go
)

// InitMain is the main function of the init, pid 1 of the container. It sets up the
// container, starts the command, forwards signals to it, reaps orphaned processes, and
// returns the command's exit status. When it exits, the kernel kills all processes that are
// left in the container (pid_namespaces(7)); with isolation.Chroot, it does so itself.
func InitMain() int {
	socket := os.NewFile(initSocket, "socket")
	status, err := initMain(socket)
	killRest()
	if err != nil {
		// If the front is gone, the error cannot be reported.
		_ = sendError(socket, err)
	}
	return status
}

func initMain(socket *os.File) (status int, err error) {
	if len(os.Args) > 1 {
		return StatusFailed, startAgain(socket)
	}
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
	var control *os.File
	if c.Control {
		unix.CloseOnExec(initListen)
		control = os.NewFile(initListen, "control socket")
	}
	if c.Cgroup {
		unix.CloseOnExec(initProcs)
		c.procs = os.NewFile(initProcs, "cgroup.procs")
	}
	children := &reaper{waiting: map[int]chan int{}}
	st, err := c.startCommand(stdio)
	if err != nil {
		return StatusFailed, err
	}
	go forwardSignals(signals, st.pid)
	if err := c.release(st, socket); err != nil && !errors.Is(err, errStageEnded) {
		return StatusFailed, err
	}
	if control != nil {
		go c.serveControl(control, children, st.pid)
	}
	return children.until(st.pid)
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
		accelerated:   c.Accelerated,
		unfiltered:    !c.Supervised,
		user:          &c.Process.User,
		limits:        c.Process.Limits,
		procs:         c.procs,
		drop:          toDrop(c.Process.User.Without, c.Supervised),
		chroot:        c.chroot(c.Process.Cwd, true),
		// A new session keeps the command from injecting input into the terminal
		// of the front (TIOCSTI(2const)), also if it gets no terminal of its own.
		sys: &syscall.SysProcAttr{Setsid: true, Setctty: c.Terminal},
	}
	if attr.chroot == nil {
		if err := os.Chdir(c.Process.Cwd); err != nil {
			return nil, fmt.Errorf("working directory %s in the rootfs: %w", c.Process.Cwd, errnoOf(err))
		}
	}
	st, err := startStage(c.Process.Args, attr)
	if err != nil {
		return nil, err
	}
	return st, detachStdio(stdio)
}

// release reports to the front that the container is ready, and lets the command run when
// the front says so. From then on the container ends with the front.
func (c *container) release(st *stage, front *os.File) error {
	if err := c.reportReady(st, front); err != nil {
		return err
	}
	if _, _, err := receive(front); err != nil {
		return fmt.Errorf("waiting for the supervisor: %w", err)
	}
	go exitWith(front)
	return st.release()
}

// reportReady reports to the front that the container is set up, and sends the stage's
// listener unless an outer supervisor has one.
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

// exitWith ends the container when the front ends for whatever reason.
func exitWith(front *os.File) {
	// The front sends nothing more, so receive returns only when the front has ended.
	_, _, _ = receive(front)
	killRest()
	os.Exit(StatusFailed)
}

// detachStdio makes the init release the command's working directory and standard streams:
// the directory may have to be unmounted, and the reader of a pipe gets the end of the file
// only when all writers have closed it. Otherwise, processes in the container could also
// reach them through /proc/1/fd.
func detachStdio(stdio []*os.File) error {
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

// openStdio returns the command's standard input, output and error. If the command gets a
// terminal, it creates one and sends the master side to the front.
func (c *container) openStdio(socket *os.File) ([]*os.File, error) {
	if !c.Terminal {
		return []*os.File{os.Stdin, os.Stdout, os.Stderr}, nil
	}
	master, slave, err := openTerminal()
	if err != nil {
		return nil, err
	}
	defer master.Close()
	if !c.Chroot {
		if err := bindConsole(slave.Name()); err != nil {
			return nil, err
		}
	}
	return []*os.File{slave, slave, slave}, sendFile(socket, master)
}

// openTerminal creates a terminal in the container. The name of the slave side is its path.
func openTerminal() (master console.Console, slave *os.File, err error) {
	master, name, err := console.NewPty()
	if err != nil {
		return nil, nil, fmt.Errorf("creating a terminal in the container: %w", err)
	}
	slave, err = os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("creating a terminal in the container: %w", err), master.Close())
	}
	return master, slave, nil
}
