package launch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/filter"
	"github.com/rootless-containers/subuidless/internal/supervisor"
	"github.com/rootless-containers/subuidless/internal/syscalls"
	"github.com/rootless-containers/subuidless/internal/unotify"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// StageName is argv[0] of the stage: a process with this name must call StageMain.
const StageName = "subuidless-stage"

// errStageEnded means that the stage ended before it had installed the filter: it has told the user
// why, or a signal has ended it. Its exit status is that of the command.
var errStageEnded = errors.New("the stage has ended")

// stage is a stage as its parent sees it.
type stage struct {
	pid    int
	pidfd  int      // of the process: the init's reaper may have waited for it; -1: nobody has
	socket *os.File // the parent's end of the socket
	// gated is, in place of the socket, what holds a command in a session that needs no stage.
	gated *userns.Gated
}

// stageAttr holds the attributes of a new stage.
type stageAttr struct {
	sys           *syscall.SysProcAttr
	entry         *supervisor.Entry // start in the namespaces of this session: see startIn; nil: see sys
	place         userns.Place      // where in the session
	env           []string          // nil: the environment of the caller
	dir           string            // working directory; empty: that of the caller
	stdio         []*os.File        // nil: the standard streams of the caller
	inherit       bool              // inherit descriptors above 2 that are not close-on-exec
	noPermissions bool              // use the filter of syscalls.WithoutPermissions
	accelerated   bool              // use the filter of syscalls.WithAcceleration, with tagged calls
	unfiltered    bool              // use no filter: an outer supervisor has one
	view          *View             // what the command sees of the host; nil: everything
	user          *account          // the user to run the command as; nil: that of the stage
	limits        []string          // resource limits of the command, see ParseLimit
	drop          string            // capabilities that it does not have, see toDrop
	procs         *os.File          // lets the command enter the container's cgroup; nil: it stays in that of the caller
	chroot        *chroot           // where to execute the command; nil: in the root directory of the stage
}

// The filter of a stage, in its arguments.
const (
	filterAll           = "all"
	filterNoPermissions = "no-permissions"
	filterNone          = "none"
	// filterAccelerated is a suffix of the others, except filterNone.
	filterAccelerated = "+accelerated"
)

// startStage starts a stage that will execute the command args.
func startStage(args []string, a stageAttr) (*stage, error) {
	ours, theirs, err := fdpass.Pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	attr := &os.ProcAttr{Sys: a.sys, Env: a.env, Dir: a.dir, Files: slices.Clone(a.stdio)}
	if attr.Files == nil {
		attr.Files = []*os.File{os.Stdin, os.Stdout, os.Stderr}
	}
	fd := int(theirs.Fd())
	if a.inherit {
		// The stage inherits its end of the socket under the number that it has
		// here: any fixed number could be that of an inherited descriptor.
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return nil, fmt.Errorf("fcntl(F_SETFD): %w", err)
		}
	} else {
		fd = len(attr.Files)
		attr.Files = append(attr.Files, theirs)
	}
	procs := ""
	if a.procs != nil && args[0] != TopName { // which starts threads
		procs = strconv.Itoa(len(attr.Files))
		attr.Files = append(attr.Files, a.procs)
	}
	argv := append([]string{StageName, strconv.Itoa(fd), a.filter(), a.view.String(), a.user.String(), a.chroot.String(), strings.Join(a.limits, ","), a.drop, procs}, args...)
	start, pidfd := startProcess, -1
	if a.entry != nil {
		start = a.startEntered
	} else {
		attr.Sys.PidFD = &pidfd
	}
	pid, err := start("/proc/self/exe", argv, attr)
	if err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	return &stage{pid: pid, pidfd: pidfd, socket: ours}, nil
}

// filter returns the name of the stage's filter.
func (a *stageAttr) filter() string {
	filter := filterAll
	switch {
	case a.unfiltered:
		return filterNone
	case a.noPermissions:
		filter = filterNoPermissions
	}
	if a.accelerated {
		filter += filterAccelerated
	}
	return filter
}

// startIn is startStage in a session. The command passes a gate in place of a stage, which would be
// another start of a Go program; a stage explains what is missing if the command cannot get there.
func startIn(args []string, a stageAttr) (*stage, error) {
	prog, err := compileFilter(a.filter())
	if err != nil {
		return nil, err
	}
	cmd := a.enteredCommand(a.env, a.stdio)
	cmd.Args = args
	gated, unprepared, err := cmd.StartGated(userns.Gate{
		Paths:  candidates(args[0], variable(cmd.Env, "PATH")),
		Filter: unotify.KernelProgram(prog),
		Flags:  unotify.InstallFlags(),
	})
	if unprepared {
		return startStage(args, a)
	}
	if err != nil {
		return nil, err
	}
	return &stage{pid: gated.Pid, pidfd: -1, gated: gated}, nil
}

// enteredCommand returns a command in the namespaces of the session, with the environment env (nil:
// the caller's) and the standard streams stdio (nil: the caller's).
func (a *stageAttr) enteredCommand(env []string, stdio []*os.File) userns.Command {
	if env == nil {
		env = os.Environ()
	}
	if stdio == nil {
		stdio = []*os.File{os.Stdin, os.Stdout, os.Stderr}
	}
	cmd := userns.Command{Namespace: int(a.entry.UserNS.Fd()), Place: &a.place, Env: env}
	for _, f := range stdio {
		cmd.Files = append(cmd.Files, int(f.Fd()))
	}
	return cmd
}

// startEntered is startProcess in the namespaces of a session. The process inherits all
// descriptors that are not close-on-exec.
func (a *stageAttr) startEntered(exe string, argv []string, attr *os.ProcAttr) (pid int, err error) {
	cmd := a.enteredCommand(attr.Env, attr.Files)
	cmd.Path, cmd.Args = exe, argv
	pid, err = cmd.Start()
	runtime.KeepAlive(attr)
	return pid, err
}

// listener waits until the stage has installed its filter, and returns a duplicate of the
// listener. The error is errStageEnded if the stage ended first.
func (s *stage) listener() (*os.File, error) {
	if s.gated != nil {
		return s.duplicate(s.gated.Listener)
	}
	text, _, err := receive(s.socket)
	if errors.Is(err, io.EOF) {
		return nil, errStageEnded
	}
	if err != nil {
		return nil, err
	}
	fd, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("the stage sent %q instead of the number of its listener", text)
	}
	return s.duplicate(fd)
}

// release lets the stage execute the command. It is no error if a signal has ended the stage: its exit
// status is that of the command.
func (s *stage) release() error {
	var err error
	if s.gated != nil {
		err = s.gated.Release()
	} else if err = sendText(s.socket, proceed); err == nil {
		err = s.socket.Close()
	}
	if fdpass.PeerGone(err) {
		return nil
	}
	return err
}

// notReleased returns the exit status and the message for an error of release.
func (s *stage) notReleased(err error) (status int, _ error) {
	if errno, ok := err.(syscall.Errno); ok && s.gated != nil { // of execve(2)
		return describeExec(s.gated.Path, errno)
	}
	return StatusFailed, err
}

// duplicate returns a duplicate of the listener, the descriptor fd of the stage.
func (s *stage) duplicate(fd int) (*os.File, error) {
	pidfd := s.pidfd
	if pidfd < 0 {
		var err error
		if pidfd, err = unix.PidfdOpen(s.pid, 0); err != nil {
			return nil, fmt.Errorf("pidfd_open(%d): %w", s.pid, err)
		}
		defer unix.Close(pidfd)
	}
	dup, err := unix.PidfdGetfd(pidfd, fd, 0)
	switch {
	case err == unix.ENOSYS:
		return nil, fmt.Errorf("pidfd_getfd of the seccomp listener: %w (requires Linux 5.6 or later)", err)
	case err == unix.EPERM:
		return nil, fmt.Errorf("pidfd_getfd of the seccomp listener: %w (it requires permission to ptrace the child process: kernel.yama.ptrace_scope must not be 3, and the seccomp profile of an outer container must allow pidfd_getfd)", err)
	case err != nil:
		return nil, fmt.Errorf("pidfd_getfd of the seccomp listener: %w", err)
	}
	return os.NewFile(uintptr(dup), "seccomp listener"), nil
}

// StageMain is the main function of the stage. It installs the filter, waits until the parent
// says that a supervisor has the listener, and executes the command. It returns, with the
// exit status, only if that fails.
func StageMain() int {
	// The filter applies to this thread and to the program that it executes. Go does not
	// start threads from a locked one, so no other thread inherits the filter.
	runtime.LockOSThread()
	status, err := stageMain(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6], os.Args[7], os.Args[8], os.Args[9:])
	fmt.Fprintln(os.Stderr, "subuidless:", err)
	return status
}

func stageMain(number, filter, view, user, root, limits, drop, procs string, args []string) (status int, err error) {
	socket, err := strconv.Atoi(number)
	if err != nil {
		return StatusFailed, fmt.Errorf("%q is not the number of a descriptor: %w", number, err)
	}
	unix.CloseOnExec(socket)
	if root != "" && args[0] == TopName {
		if err := awaitRelease(socket); err != nil {
			return StatusFailed, err
		}
		os.Exit(topInChroot(root))
	}
	if err := enterChroot(root); err != nil {
		return StatusFailed, err
	}
	if err := enterView(view); err != nil {
		return StatusFailed, err
	}
	path, status, err := lookPath(args[0], os.Getenv("PATH"))
	if err != nil {
		return status, err
	}
	if filter != filterNone {
		err = installFilter(socket, filter)
	}
	if err == nil {
		err = awaitRelease(socket)
	}
	// The supervisor leaves what the stage does to its capabilities to the kernel, and the command gets
	// those that are left. Changing the user needs some of them, so they are dropped afterwards.
	var dropped uint64
	if err == nil {
		dropped, err = dropBounding(drop)
	}
	if err == nil {
		err = applyUser(user, filter == filterNone)
	}
	if err == nil {
		err = applyLimits(limits)
	}
	if err == nil {
		err = dropCapabilities(dropped)
	}
	if err == nil {
		err = enterCgroup(procs)
	}
	if err != nil {
		return StatusFailed, err
	}
	return execPath(path, args, nil)
}

// compileFilter returns the program of the filter that the stage has in its arguments.
func compileFilter(name string) ([]bpf.RawInstruction, error) {
	rows := syscalls.Rows()
	var tagged []syscalls.Tagged
	name, accelerated := strings.CutSuffix(name, filterAccelerated)
	if accelerated {
		rows, tagged = syscalls.WithAcceleration(rows), syscalls.TaggedCalls()
	}
	if name == filterNoPermissions {
		rows = syscalls.WithoutPermissions(rows)
	}
	return filter.CompileTagged(runtime.GOARCH, rows, tagged)
}

// installFilter installs the filter of this name on this thread, and sends the number of the
// listener to the parent. From then on until the parent releases the stage, every notified
// call would block for ever, so the stage uses only write(2) and read(2).
func installFilter(socket int, name string) error {
	prog, err := compileFilter(name)
	if err != nil {
		return err
	}
	// The listener is close-on-exec (seccomp(2)), so the command does not inherit it.
	listener, err := unotify.Install(prog)
	if errors.Is(err, unix.EACCES) {
		return userns.Explain(err)
	}
	if err != nil {
		return err
	}
	packet := strconv.AppendInt([]byte{packetText}, int64(listener), 10)
	for {
		_, err := unix.Write(socket, packet)
		if err == nil {
			return nil
		}
		if err != unix.EINTR {
			return fmt.Errorf("sending the number of the listener: %w", err)
		}
	}
}

// awaitRelease waits until the parent releases the stage.
func awaitRelease(socket int) error {
	var packet [1]byte
	for {
		n, err := unix.Read(socket, packet[:])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return fmt.Errorf("waiting for the supervisor: %w", err)
		case n == 0:
			// The parent has given up, and reports why itself, or was killed.
			os.Exit(StatusFailed)
		default:
			return nil
		}
	}
}
