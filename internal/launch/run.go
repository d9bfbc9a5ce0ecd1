package launch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cgroup"
	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/image/overlay"
	"github.com/rootless-containers/subuidless/internal/isolation"
	"github.com/rootless-containers/subuidless/internal/program"
	"github.com/rootless-containers/subuidless/internal/supervisor"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// RunOptions are the options of Run.
type RunOptions struct {
	Rootfs    string           // directory that becomes the root of the container
	Args      []string         // the command and its arguments; none: /bin/sh
	User      string           // NAME|UID[:GROUP|:GID]; empty: root
	Env       []string         // K=V, or K to pass it through from the caller's environment
	Workdir   string           // absolute path in the container; empty: /
	Volumes   []string         // bind mounts: SRC:DST[:ro]
	Mounts    []Mount          // further mounts
	Net       string           // NetHost or NetNone
	Hostname  string           // empty: that of the host
	Hosts     []string         // further lines of /etc/hosts, as ParseHost returns them
	Resolver  []string         // lines of /etc/resolv.conf, as ParseResolver returns them, instead of the host's
	Groups    []string         // further groups of the user, names or ids, also of commands of Enter
	Limits    []string         // resource limits of all commands, as ParseLimit returns them
	CapAdd    []string         // capabilities, as ParseCapability returns them
	CapDrop   []string         // those that no command has, unless they are in CapAdd: see droppedCapabilities
	Devices   []string         // devices of the host, as ParseDevice accepts them
	Ports     []string         // ports of the host that must be free, as ParsePort returns them
	Sysctls   []string         // of the new namespaces, as ParseSysctl returns them
	Umask     string           // of all commands, as ParseUmask returns it; empty: 022
	ShmSize   int64            // of /dev/shm in bytes; 0: the default of the kernel, half of the memory
	Resources cgroup.Resources // what all processes together may use
	ReadOnly  bool             // mount the rootfs read-only
	Dirs      []string         // absolute paths of directories to create in the container if needed
	Layers    *Layers          // if not nil, mount them on Rootfs, which is empty
	TTY       TTY              // which terminal the command gets

	// Stdio are the standard streams of the command; nil: those of the caller.
	Stdio []*os.File `json:"-"`
	// Timeout is how long the container may run; 0: no limit.
	Timeout time.Duration
	// Socket, if not empty, is the absolute path of the control socket, for Enter and Signal.
	Socket string
	// Started, if not nil, is called with the process id of the init and the directory of the
	// container's cgroup, if it has one, when the container is ready, before the command runs. Its
	// error ends the container.
	Started func(pid int, cgroup string) error `json:"-"`
	// OOMKilled, if not nil, is called at the end if the kernel has killed a process because the
	// memory of Resources was used up.
	OOMKilled func() `json:"-"`
	// Summary has Run write a summary of all notifications to standard error, like strace -c.
	Summary bool
	// Counts, if not empty, is the absolute path of a file to which Run writes the counts of all
	// notifications, a JSON array of statistics.Named, unless an outer supervisor has them.
	Counts string

	Supervisor supervisor.Config // Run sets the ID if it is empty
}

// statusTimeout is the exit status of a container that RunOptions.Timeout has ended, as in podman.
const statusTimeout = 255

// TTY says which terminal a container's command gets.
type TTY string

// The values of RunOptions.TTY.
const (
	TTYAuto TTY = ""     // a new one if standard input and output are a terminal
	TTYNone TTY = "none" // none
	TTYNew  TTY = "new"  // a new one, whatever the standard streams are
)

func (o *RunOptions) interactive() bool {
	return o.TTY == TTYNew || o.TTY == TTYAuto && IsTerminal(o.Stdio[0]) && IsTerminal(o.Stdio[1])
}

// Layers is a rootfs of overlayfs that the front can look into, although only the container
// mounts it.
type Layers struct {
	overlay.Mount
	Name string // for messages
	// Open opens a file as a process in the container does before it changes anything. Flags
	// are further flags of open(2).
	Open func(name string, flags uint64) (*os.File, error) `json:"-"`
}

// Run runs a command in a new container, and returns its exit status like Exec. The
// container ends when the command ends, or when the caller does.
func Run(o RunOptions) (status int, err error) {
	if o.Stdio == nil {
		o.Stdio = []*os.File{os.Stdin, os.Stdout, os.Stderr}
	}
	c, err := newContainer(o, o.interactive())
	if err != nil {
		return StatusFailed, err
	}
	if err := checkPorts(o.Ports); err != nil {
		return StatusFailed, err
	}
	if o.Supervisor.ID == "" {
		o.Supervisor.ID = fmt.Sprintf("run-%d", os.Getpid())
	}
	var group *cgroup.Group
	if c.Cgroup { // before there are other processes, which are to be outside of it, too
		if group, err = newGroup(&o); err != nil {
			return StatusFailed, err
		}
		defer func() { err = errors.Join(err, group.Close()) }()
	}
	var sup *supervisor.Prepared
	if !c.Supervised {
		warnIneffective(o.Supervisor, o.Summary, isolation.Current())
	} else {
		o.Supervisor.TimeAll = o.Summary || o.Counts != ""
		if sup, err = supervisor.Prepare(o.Supervisor); err != nil {
			return StatusFailed, err
		}
		defer sup.Close()
	}
	pid, socket, err := startInit(c, &o, group)
	if err != nil {
		return StatusFailed, err
	}
	// The init ends the container when this is closed.
	defer socket.Close()
	if sup != nil {
		sup.Enter(pid)
	}
	if group != nil {
		if err := leave(group, pid, socket); err != nil {
			return StatusFailed, errors.Join(err, killAndReap(pid))
		}
	}
	var term *terminal
	if c.Terminal {
		if term, err = relay(socket, o.Stdio); err != nil {
			return StatusFailed, errors.Join(err, killAndReap(pid))
		}
		defer func() { err = errors.Join(err, term.restore()) }()
	}
	var sum summary
	err = c.supervise(pid, socket, sup, func() (err error) {
		if (o.Summary || o.Counts != "") && sup != nil {
			sum, err = newSummary(sup)
			sum.file = o.Counts
		}
		path := ""
		if err == nil && group != nil {
			path, err = group.Path(), group.Limit()
		}
		if err == nil && o.Started != nil {
			err = o.Started(pid, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, errStageEnded) {
		return StatusFailed, errors.Join(err, killAndReap(pid))
	}
	var expired atomic.Bool
	if o.Timeout > 0 {
		timer := time.AfterFunc(o.Timeout, func() {
			expired.Store(true)
			_ = unix.Shutdown(int(socket.Fd()), unix.SHUT_RDWR) // the init takes it for the end of this process
		})
		defer timer.Stop()
	}
	status, err = waitFor(pid, false)
	if term != nil {
		term.drain()
	}
	if expired.Load() && status == StatusFailed {
		status, err = statusTimeout, errors.Join(err, fmt.Errorf("killed after %v, as --timeout says", o.Timeout))
	}
	if group != nil && o.OOMKilled != nil && group.OOMKilled() {
		o.OOMKilled()
	}
	return status, errors.Join(err, sum.print(o.Stdio[2]))
}

// supervise waits until the init pid has set up the container, passes the listener to the
// supervisor, and lets the command run. Sup is nil if an outer supervisor handles the
// container's system calls. Started is called when the container is ready, before the command runs.
func (c *container) supervise(pid int, socket *os.File, sup *supervisor.Prepared, started func() error) error {
	_, listener, err := receive(socket)
	if errors.Is(err, io.EOF) {
		return errStageEnded // and the init, too
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
	if err := started(); err != nil {
		return err
	}
	go forwardSignals(catchSignals(forwardable()), pid)
	return sendText(socket, proceed)
}

// startInit starts the container's init, and returns the front's end of the socket to it.
func startInit(c *container, o *RunOptions, group *cgroup.Group) (pid int, socket *os.File, err error) {
	// In the container, /proc/1/exe is this program.
	exe, err := program.ProtectedMain(c.Supervised)
	if err != nil {
		return 0, nil, err
	}
	defer exe.Close()
	// Not one of the numbers that the init's own descriptors get.
	high, err := unix.FcntlInt(exe.Fd(), unix.F_DUPFD_CLOEXEC, initProcs+1)
	if err != nil {
		return 0, nil, fmt.Errorf("fcntl(F_DUPFD_CLOEXEC): %w", err)
	}
	defer unix.Close(high)
	spec, err := jsonFile("container", c)
	if err != nil {
		return 0, nil, err
	}
	defer spec.Close()
	ours, theirs, err := fdpass.Pair()
	if err != nil {
		return 0, nil, err
	}
	defer theirs.Close()
	// A descriptor that the caller left open could be a way out of the container.
	if err := userns.CloseOnExec(3); err != nil {
		return 0, nil, errors.Join(err, ours.Close())
	}
	attr := &os.ProcAttr{
		Files: append(slices.Clone(o.Stdio), theirs, spec, nil, nil),
		Sys:   c.procAttr(group),
		// Otherwise, the Go runtime keeps files of the host's cgroup open, which
		// processes in the container could reach through /proc/1/fd.
		Env: []string{"GODEBUG=containermaxprocs=0"},
	}
	if o.Socket != "" {
		control, err := listenControl(o.Socket)
		if err != nil {
			return 0, nil, errors.Join(err, ours.Close())
		}
		defer control.Close()
		attr.Files[initListen] = control
	}
	argv := []string{InitName}
	if group != nil {
		procs, err := group.Procs()
		if err != nil {
			return 0, nil, errors.Join(err, ours.Close())
		}
		defer procs.Close()
		attr.Files[initProcs] = procs
		argv = append(argv, again)
	}
	// In a new session, the init gets no signals of the terminal: the front forwards them.
	attr.Sys.Setsid = true
	pid, err = startProcess(fmt.Sprintf("/proc/self/fd/%d", high), argv, attr)
	if err != nil {
		return 0, nil, errors.Join(err, ours.Close())
	}
	return pid, ours, nil
}
