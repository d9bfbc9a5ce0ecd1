package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// The init of a container with a control socket serves requests of further commands of
// subuidless: see Enter and Signal. It accepts connections itself, so that requests depend on
// no other process. The processes of the container have the same user id as the init, and
// could take a connection from it: with that, they get what the command would get anyway.
//
// The first packet of a connection is a request. The answer to the signals and to requestResize is a text. For
// requestExec, the init sends the master side of the terminal, if one is wanted; the listener,
// if there is a filter; and in the end the exit status of the command. After the listener, the
// peer sends proceed, and then numbers of signals. If it disconnects, the command is killed.

// The requests.
const (
	requestExec   = "exec"    // with the descriptors of execFDs
	requestSignal = "signal " // and a number: send it to the container's command
	requestAll    = "all "    // and a number: send it to all processes except the init
	requestResize = "resize " // and the columns and rows that the container's terminal gets
)

// The descriptors of requestExec, in this order: an execSpec as JSON, and the standard streams.
const (
	fdSpec = iota
	fdStdin
	fdStdout
	fdStderr
	execFDs
)

// execSpec is a command to start in the container.
type execSpec struct {
	Args     []string
	Env      []string // K=V, on top of PATH and HOME
	Cwd      string
	User     string // see RunOptions.User
	Terminal bool
	Detached bool // the command goes on when the peer disconnects
}

// reaper waits for all children of the init.
type reaper struct {
	// mu is held while a child is started, so that it is known before it is reaped.
	mu      sync.Mutex
	waiting map[int]chan int // by process id: gets the exit status

	// answering is held from a signal to its answer. The signal may end the command, and the init
	// with it, but not before the answer is sent.
	answering sync.Mutex
}

// start starts a child, and returns a channel that gets its exit status.
func (r *reaper) start(start func() (*stage, error)) (*stage, <-chan int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st, err := start()
	if err != nil {
		return nil, nil, err
	}
	ended := make(chan int, 1)
	r.waiting[st.pid] = ended
	return st, ended, nil
}

// until reaps children, including orphaned processes, until pid ends, and returns the exit
// status of pid. No signal is sent any more after that.
func (r *reaper) until(pid int) (status int, err error) {
	for {
		var ws unix.WaitStatus
		ended, err := unix.Wait4(-1, &ws, 0, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return StatusFailed, fmt.Errorf("waiting for the command: %w", err)
		case ended == pid:
			r.answering.Lock() // for good
			return exitStatus(ws), nil
		}
		r.mu.Lock()
		if c, ok := r.waiting[ended]; ok {
			c <- exitStatus(ws)
			delete(r.waiting, ended)
		}
		r.mu.Unlock()
	}
}

// serveControl accepts connections at the control socket until the init ends.
func (c *container) serveControl(listener *os.File, r *reaper, command int) {
	for {
		fd, _, err := unix.Accept4(int(listener.Fd()), unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			go c.serve(os.NewFile(uintptr(fd), "control"), r, command)
		case unix.EINTR, unix.ECONNABORTED, unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOBUFS:
		default:
			return
		}
	}
}

// serve serves one connection.
func (c *container) serve(peer *os.File, r *reaper, command int) {
	defer peer.Close()
	packet := make([]byte, maxPacket)
	n, m, err := fdpass.Receive(peer, packet)
	if err != nil || n == 0 {
		return
	}
	text := string(packet[1:n])
	if number, ok := strings.CutPrefix(text, requestSignal); ok {
		fdpass.Close(m.FDs)
		r.signal(peer, command, number)
		return
	} else if number, ok := strings.CutPrefix(text, requestAll); ok {
		fdpass.Close(m.FDs)
		r.signal(peer, -1, number)
		return
	} else if size, ok := strings.CutPrefix(text, requestResize); ok {
		fdpass.Close(m.FDs)
		err = c.resize(size)
	} else if text == requestExec && len(m.FDs) == execFDs {
		err = c.exec(peer, m.FDs, r)
	} else {
		fdpass.Close(m.FDs)
		err = fmt.Errorf("the container has been started by another version of subuidless, which does not know the request %q", text)
	}
	answer(peer, err)
}

// answer answers a request. If the peer is gone, nobody wants to know.
func answer(peer *os.File, err error) {
	if err != nil {
		_ = sendError(peer, err)
		return
	}
	_ = sendText(peer, ready)
}

// signal sends a signal as signalProcess does, and answers the request.
func (r *reaper) signal(peer *os.File, pid int, number string) {
	r.answering.Lock()
	defer r.answering.Unlock()
	answer(peer, signalProcess(pid, number))
}

// signalProcess sends a signal to a process, or with -1 to all except the init: kill(2).
func signalProcess(pid int, number string) error {
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	if err := unix.Kill(pid, unix.Signal(n)); err != nil && err != unix.ESRCH {
		return fmt.Errorf("sending signal %d: %w", n, err)
	}
	return nil
}

// resize gives the container's terminal a size: columns and rows.
func (c *container) resize(size string) error {
	var w unix.Winsize
	if _, err := fmt.Sscan(size, &w.Col, &w.Row); err != nil {
		return fmt.Errorf("the size %q: %w", size, err)
	}
	if !c.Terminal || c.Chroot {
		return errors.New("the container has no terminal of its own")
	}
	// Not blocking: the container may have replaced it.
	fd, err := unix.Open("/dev/console", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: "/dev/console", Err: err}
	}
	defer unix.Close(fd)
	return os.NewSyscallError("ioctl(TIOCSWINSZ)", unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &w))
}

// exec runs a further command in the container.
func (c *container) exec(peer *os.File, fds []int, r *reaper) (err error) {
	files := make([]*os.File, len(fds))
	for i, fd := range fds {
		files[i] = os.NewFile(uintptr(fd), "received")
		defer files[i].Close()
	}
	var spec execSpec
	if err := json.NewDecoder(io.NewSectionReader(files[fdSpec], 0, 1<<30)).Decode(&spec); err != nil {
		return fmt.Errorf("reading the command: %w", err)
	}
	user, err := lookUpUser(c.files(), spec.User, c.Process.Groups)
	if err != nil {
		return err
	}
	user.Without = c.Process.User.Without
	env, err := environment(spec.Env, user.Home, false, os.LookupEnv)
	if err != nil {
		return err
	}
	if spec.Cwd == "" {
		spec.Cwd = "/"
	}
	dir, err := c.files().open(path.Join(".", spec.Cwd), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return fmt.Errorf("working directory %s in the container: %w", spec.Cwd, errnoOf(err))
	}
	dir.Close()
	stdio := files[fdStdin:]
	if spec.Terminal {
		master, slave, err := openTerminal()
		if err != nil {
			return err
		}
		err = sendFile(peer, master)
		master.Close()
		defer slave.Close()
		if err != nil {
			return err
		}
		stdio = []*os.File{slave, slave, slave}
	}
	st, ended, err := r.start(func() (*stage, error) {
		return startStage(spec.Args, stageAttr{
			env: env, dir: c.dirOf(&spec), chroot: c.chroot(spec.Cwd, false), stdio: stdio, user: &user, limits: c.Process.Limits, procs: c.procs, drop: toDrop(user.Without, c.Supervised),
			noPermissions: c.NoPermissions, accelerated: c.Accelerated, unfiltered: !c.Supervised,
			sys: &syscall.SysProcAttr{Setsid: true, Setctty: spec.Terminal},
		})
	})
	if err != nil {
		return err
	}
	for _, f := range files[fdStdin:] { // the end of a pipe is that of the command
		f.Close()
	}
	return c.superviseExec(peer, st, ended, &spec, &user)
}

// superviseExec lets the command of the stage st run when the peer has passed its listener to
// the supervisor, and sends its exit status.
func (c *container) superviseExec(peer *os.File, st *stage, ended <-chan int, spec *execSpec, user *account) error {
	signal := func(s unix.Signal) { _ = sys.PidfdSendSignal(st.pidfd, s) } // it may have ended
	kill := func(err error) error {
		signal(unix.SIGKILL)
		<-ended
		return err
	}
	released := false
	defer func() {
		if !released {
			unix.Close(st.pidfd)
		}
	}()
	var listener *os.File
	if c.Supervised {
		var err error
		listener, err = st.listener()
		if errors.Is(err, errStageEnded) {
			return sendStatus(peer, <-ended)
		}
		if err != nil {
			return kill(err)
		}
	}
	identity, err := json.Marshal(user.user())
	if err == nil {
		if listener != nil {
			err = send(peer, packetText, string(identity), int(listener.Fd()))
			listener.Close()
		} else {
			err = sendText(peer, string(identity))
		}
	}
	if err == nil {
		_, _, err = receive(peer) // proceed
	}
	if err == nil {
		err = st.release()
	}
	if err != nil {
		return kill(err)
	}
	released = true
	go func() {
		defer unix.Close(st.pidfd)
		for {
			text, _, err := receive(peer)
			if err != nil {
				break
			}
			if n, err := strconv.Atoi(text); err == nil {
				signal(unix.Signal(n))
			}
		}
		if !spec.Detached {
			signal(unix.SIGKILL)
		}
	}()
	return sendStatus(peer, <-ended)
}

func sendStatus(peer *os.File, status int) error { return sendText(peer, strconv.Itoa(status)) }

// files returns the root file system of the container.
func (c *container) files() tree {
	if c.Chroot {
		return directoryTree(c.Root.Path)
	}
	return ownRoot
}

// dirOf returns the working directory of a stage, which changes its root directory itself.
func (c *container) dirOf(spec *execSpec) string {
	if c.Chroot {
		return ""
	}
	return spec.Cwd
}

// ownRoot is the root file system of the init itself.
var ownRoot = tree{"of the container", func(name string, flags uint64) (*os.File, error) {
	return os.OpenFile("/"+name, int(flags), 0)
}}

// listenControl creates the control socket at an absolute path, which may be longer than the
// address of a socket.
func listenControl(name string) (*os.File, error) {
	dir, err := os.Open(path.Dir(name))
	if err != nil {
		return nil, fmt.Errorf("the control socket of the container: %w", err)
	}
	defer dir.Close()
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("the control socket of the container: socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: socketAddress(dir, name)})
	if err == nil {
		err = unix.Listen(fd, 64)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the control socket of the container: %w", err), f.Close())
	}
	return f, nil
}

// socketAddress returns an address of the socket name in the open directory dir.
func socketAddress(dir *os.File, name string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), path.Base(name))
}

// dialControl connects to a control socket. The error wraps ErrNotRunning if the container does
// not run.
func dialControl(name string) (*os.File, error) {
	dir, err := os.Open(path.Dir(name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNotRunning
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Net: "unixpacket", Name: socketAddress(dir, name)})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ECONNREFUSED) {
		return nil, ErrNotRunning
	}
	if err != nil {
		return nil, fmt.Errorf("connecting to the container: %w", err)
	}
	defer c.Close()
	f, err := c.File()
	if err == nil { // blocking, as Send and Receive expect it
		err = unix.SetNonblock(int(f.Fd()), false)
	}
	return f, err
}

// ErrNotRunning says that a container does not run.
var ErrNotRunning = errors.New("the container is not running")
