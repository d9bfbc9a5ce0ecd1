package launch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/filter"
	"github.com/rootless-containers/subuidless/internal/syscalls"
	"github.com/rootless-containers/subuidless/internal/unotify"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// StageName is the name (argv[0]) of the stage.
const StageName = "subuidless-stage"

// errStageEnded says that the stage ended before it had installed the filter.
// It has told the user why itself, and its exit status is that of the command.
var errStageEnded = errors.New("the stage has ended")

// stage is the parent's side of a stage.
type stage struct {
	pid    int
	socket *os.File // its other end is the stage's
}

// stageAttr says how to start a stage.
type stageAttr struct {
	sys           *syscall.SysProcAttr
	env           []string   // nil: the caller's
	stdio         []*os.File // nil: the caller's
	inherit       bool       // descriptors above 2 that are open without close-on-exec
	noPermissions bool       // its filter is that of syscalls.WithoutPermissions
	unfiltered    bool       // an outer supervisor serves it
	user          *account   // who the command is to be; nil: who the stage is
}

// The filters of a stage.
const (
	filterAll       = "all"
	filterUnchecked = "unchecked"
	filterNone      = "none" // it becomes its user by itself
)

// startStage starts a stage for the command args.
func startStage(args []string, a stageAttr) (*stage, error) {
	ours, theirs, err := fdpass.Pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	attr := &os.ProcAttr{Sys: a.sys, Env: a.env, Files: a.stdio}
	if attr.Files == nil {
		attr.Files = []*os.File{os.Stdin, os.Stdout, os.Stderr}
	}
	fd := int(theirs.Fd())
	if a.inherit {
		// The command's own descriptors may have any number, so the stage's
		// end of the socket cannot be moved to a fixed one.
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return nil, fmt.Errorf("fcntl(F_SETFD): %w", err)
		}
	} else {
		fd = len(attr.Files)
		attr.Files = append(attr.Files, theirs)
	}
	filter := filterAll
	switch {
	case a.unfiltered:
		filter = filterNone
	case a.noPermissions:
		filter = filterUnchecked
	}
	argv := append([]string{StageName, strconv.Itoa(fd), filter, a.user.String()}, args...)
	pid, err := startProcess("/proc/self/exe", argv, attr)
	if err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	return &stage{pid: pid, socket: ours}, nil
}

// listener waits until the stage has installed its filter, and returns a
// duplicate of its listener.
func (s *stage) listener() (*os.File, error) {
	text, _, err := receive(s.socket)
	if errors.Is(err, io.EOF) {
		return nil, errStageEnded
	}
	if err != nil {
		return nil, err
	}
	fd, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("the stage told %q instead of the number of its listener", text)
	}
	return duplicateOf(s.pid, fd, "seccomp listener")
}

// release lets the stage execute the command.
func (s *stage) release() error {
	if err := sendText(s.socket, proceed); err != nil {
		return err
	}
	return s.socket.Close()
}

// duplicateOf returns a duplicate of the descriptor fd of process pid.
func duplicateOf(pid, fd int, name string) (*os.File, error) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("pidfd_open(%d): %w", pid, err)
	}
	defer unix.Close(pidfd)
	dup, err := unix.PidfdGetfd(pidfd, fd, 0)
	switch {
	case err == unix.ENOSYS:
		return nil, fmt.Errorf("pidfd_getfd of the %s: %w (Linux 5.6 or later is needed)", name, err)
	case err == unix.EPERM:
		return nil, fmt.Errorf("pidfd_getfd of the %s: %w (the kernel asks for the permission to ptrace one's own child: kernel.yama.ptrace_scope must not be 3, and an outer container's seccomp profile must allow pidfd_getfd)", name, err)
	case err != nil:
		return nil, fmt.Errorf("pidfd_getfd of the %s: %w", name, err)
	}
	return os.NewFile(uintptr(dup), name), nil
}

// StageMain is the stage's process: it installs the filter, waits until it is
// served, and executes the command.
func StageMain() int {
	// The filter applies to this thread and to what this thread executes. Go
	// starts no thread from a locked one, so no other can inherit it.
	runtime.LockOSThread()
	status, err := stageMain(os.Args[1], os.Args[2], os.Args[3], os.Args[4:])
	fmt.Fprintln(os.Stderr, "subuidless:", err)
	return status
}

func stageMain(number, filter, user string, args []string) (status int, err error) {
	socket, err := strconv.Atoi(number)
	if err != nil {
		return StatusFailed, fmt.Errorf("%s is no descriptor: %w", number, err)
	}
	unix.CloseOnExec(socket)
	path, status, err := lookPath(args[0], os.Getenv("PATH"))
	if err != nil {
		return status, err
	}
	switch filter {
	case filterAll:
		err = installFilter(socket, syscalls.Rows)
	case filterUnchecked:
		err = installFilter(socket, syscalls.WithoutPermissions(syscalls.Rows))
	}
	if err == nil {
		err = awaitRelease(socket)
	}
	if err == nil {
		err = handOverTo(user, filter == filterNone)
	}
	if err != nil {
		return StatusFailed, err
	}
	return execPath(path, args)
}

// installFilter installs the filter for rows on this thread and tells the parent the
// number of the listener. From here until the parent releases the stage, each
// call that is in the table would wait for ever: so write(2) and read(2) do.
func installFilter(socket int, rows []syscalls.Row) error {
	prog, err := filter.Compile(runtime.GOARCH, rows)
	if err != nil {
		return err
	}
	// The kernel sets close-on-exec on the listener: the command has no copy.
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
			return fmt.Errorf("telling the number of the listener: %w", err)
		}
	}
}

// awaitRelease waits until the parent lets the stage execute the command.
func awaitRelease(socket int) error {
	var packet [1]byte
	for {
		n, err := unix.Read(socket, packet[:])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return fmt.Errorf("waiting for the supervisor: %w", err)
		case n == 0:
			// The parent has given up or was killed. Why is for it to say.
			os.Exit(StatusFailed)
		default:
			return nil
		}
	}
}
