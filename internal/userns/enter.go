package userns

import (
	"errors"
	"fmt"
	"math"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Command is a program to start in another user namespace.
type Command struct {
	Namespace int      // descriptor of the user namespace; -1: that of the caller
	Place     *Place   // where in another mount namespace; nil: where the caller is
	Path      string   // path of the program
	Args      []string // arguments, including argv[0]; at least one
	Env       []string // environment
	Files     []int    // descriptors that become 0, 1, 2, ...; fewer than 32
}

// Place is a working directory in another mount namespace, which belongs to
// Command.Namespace.
type Place struct {
	MountNS int    // descriptor of the mount namespace
	Dir     string // absolute path of the working directory in it
	Setsid  bool   // start the program in a new session: setsid(2)
}

// Start starts the program and returns its process id. The caller must wait for the process:
// wait(2).
//
// Without a Place, the program inherits Files and no other descriptors. If Namespace is not
// -1, it has all capabilities in that namespace, also as ambient ones, so that it keeps them
// if its id there is not 0 (capabilities(7)).
//
// With a Place, the program starts as a child of clone(CLONE_NEWUSER | CLONE_NEWNS) would: it
// also inherits descriptors that are not close-on-exec, and has no ambient capabilities.
//
// After an error, no process is left. If the child failed, the error names its step and wraps
// the errno: setns(CLONE_NEWUSER) or execve, for example.
//
// setns(2) says: "A multithreaded process may not change user namespace with setns()", and
// every Go process is multithreaded. So Start forks. The child has one thread, and may only
// make raw system calls: it enters the namespace and executes the program.
func (c *Command) Start() (pid int, err error) {
	path, err := syscall.BytePtrFromString(c.Path)
	if err != nil {
		return 0, err
	}
	argv, err := syscall.SlicePtrFromStrings(c.Args)
	if err != nil {
		return 0, err
	}
	envv, err := syscall.SlicePtrFromStrings(c.Env)
	if err != nil {
		return 0, err
	}
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return 0, os.NewSyscallError("pipe2", err)
	}
	defer unix.Close(p[0])
	// Duplicate the files, the pipe and the namespace to numbers that are not those that
	// the files get in the child.
	spare := append(append([]int(nil), c.Files...), p[1])
	if c.Namespace >= 0 {
		spare = append(spare, c.Namespace)
	}
	var dir *byte
	if c.Place != nil {
		spare = append(spare, c.Place.MountNS)
		if dir, err = syscall.BytePtrFromString(c.Place.Dir); err != nil {
			unix.Close(p[1])
			return 0, err
		}
		restoreFileLimit()
	}
	for i, fd := range spare {
		if spare[i], err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, firstSpare); err != nil {
			err = fmt.Errorf("duplicating descriptor %d: %w", fd, err)
			if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EMFILE) {
				err = fmt.Errorf("%w (the limit on open files is too low: raise it with ulimit -n to 64 or more)", err)
			}
			spare = spare[:i]
			break
		}
	}
	unix.Close(p[1])
	defer func() {
		for _, fd := range spare {
			unix.Close(fd)
		}
	}()
	if err != nil {
		return 0, err
	}
	files, failed, ns, mount := spare[:len(c.Files)], spare[len(c.Files)], -1, -1
	if c.Namespace >= 0 {
		ns = spare[len(c.Files)+1]
	}
	if c.Place != nil {
		mount = spare[len(spare)-1]
	}

	last := -1
	if unix.CloseRange(math.MaxUint32, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) != nil { // not known
		if last, err = lastDescriptor(); err != nil {
			return 0, err
		}
	}
	syscall.ForkLock.Lock()
	pid, e := fork(ns, mount, dir, c.Place != nil && c.Place.Setsid, path, &argv[0], &envv[0], files, last, failed)
	syscall.ForkLock.Unlock()
	unix.Close(failed)
	spare = append(spare[:len(c.Files)], spare[len(c.Files)+1:]...)
	if e != 0 {
		return 0, os.NewSyscallError("clone", e)
	}
	// A successful exec closes the pipe. Otherwise, the child writes the failure to it.
	var failure [2]uint32
	buf := (*[unsafe.Sizeof(failure)]byte)(unsafe.Pointer(&failure))[:]
	for {
		n, err := unix.Read(p[0], buf)
		if err == unix.EINTR {
			continue
		}
		if err == nil && n == 0 {
			return pid, nil
		}
		_, _ = Wait(pid) // the child has reported what failed
		if err != nil {
			return 0, os.NewSyscallError("read", err)
		}
		step := steps[failure[0]]
		if failure[0] == stepChdir {
			step = fmt.Sprintf(step, c.Place.Dir)
		}
		return 0, fmt.Errorf("starting %s in the container's user namespace: %s: %w", c.Args[0], step, syscall.Errno(failure[1]))
	}
}

// Wait waits until the child pid of the calling process exits, and returns its status.
func Wait(pid int) (status unix.WaitStatus, err error) {
	for {
		if _, err := unix.Wait4(pid, &status, 0, nil); err != unix.EINTR {
			return status, os.NewSyscallError("wait4", err)
		}
	}
}

// restoreFileLimit restores the soft limit on open files, which the Go runtime has raised for
// itself, so that the program gets the caller's. The runtime remembers the original limit
// privately. Exec restores it before execve(2), and leaves it so if that fails.
func restoreFileLimit() { _ = syscall.Exec("", []string{""}, nil) }

// firstSpare is greater than the number of any descriptor in the program: len(Command.Files)
// must be smaller.
const firstSpare = 32

// The steps of the child, for error messages.
const (
	stepDup = iota
	stepSetns
	stepMount
	stepChdir
	stepCapget
	stepCapset
	stepExec
)

var steps = [...]string{
	stepDup:    "dup3",
	stepSetns:  "setns(CLONE_NEWUSER)",
	stepMount:  "setns(CLONE_NEWNS)",
	stepChdir:  "chdir to %s",
	stepCapget: "capget",
	stepCapset: "capset",
	stepExec:   "execve",
}

// maxCap is greater than the number of any capability.
const maxCap = 64

// fork forks, and executes the program in the child. It has the form of
// forkAndExecInChild in package syscall: after the fork, the child must not grow the stack,
// allocate, or call anything except raw system calls. Last is the largest number of the program's
// descriptors, if the kernel lacks CLOSE_RANGE_CLOEXEC.
//
//go:noinline
//go:norace
//go:nocheckptr
func fork(ns, mount int, dir *byte, setsid bool, path *byte, argv, envv **byte, files []int, last, failed int) (int, syscall.Errno) {
	var (
		pid, step uintptr
		e         syscall.Errno
		failure   [2]uint32
		header    = unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		caps      [2]unix.CapUserData
	)
	beforeFork()
	pid, _, e = syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if e != 0 || pid != 0 {
		afterFork()
		return int(pid), e
	}
	afterForkInChild()

	step = stepDup
	for i := range files {
		if _, _, e = syscall.RawSyscall(syscall.SYS_DUP3, uintptr(files[i]), uintptr(i), 0); e != 0 {
			goto fail
		}
	}
	if ns >= 0 {
		step = stepSetns
		if _, _, e = syscall.RawSyscall(unix.SYS_SETNS, uintptr(ns), unix.CLONE_NEWUSER, 0); e != 0 {
			goto fail
		}
	}
	if mount >= 0 {
		// setns(2) refuses a process that shares its root directory with another one.
		// The child of a fork does not.
		step = stepMount
		if _, _, e = syscall.RawSyscall(unix.SYS_SETNS, uintptr(mount), unix.CLONE_NEWNS, 0); e != 0 {
			goto fail
		}
		step = stepChdir
		if _, _, e = syscall.RawSyscall(syscall.SYS_CHDIR, uintptr(unsafe.Pointer(dir)), 0, 0); e != 0 {
			goto fail
		}
		if setsid { // EPERM is impossible: the child of a fork leads no process group
			syscall.RawSyscall(syscall.SYS_SETSID, 0, 0, 0)
		}
		goto exec
	}
	if ns >= 0 {
		step = stepCapget
		if _, _, e = syscall.RawSyscall(unix.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&caps)), 0); e != 0 {
			goto fail
		}
		caps[0].Inheritable, caps[1].Inheritable = caps[0].Permitted, caps[1].Permitted
		step = stepCapset
		if _, _, e = syscall.RawSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&caps)), 0); e != 0 {
			goto fail
		}
		for c := range uintptr(maxCap) { // EINVAL if the kernel does not have it
			syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, c, 0, 0, 0)
		}
	}
	// Close what the caller inherited without close-on-exec: the program would otherwise
	// keep open, for example, a pipe whose reader waits for the end of the file.
	if _, _, e = syscall.RawSyscall(unix.SYS_CLOSE_RANGE, uintptr(len(files)), ^uintptr(0)>>32, unix.CLOSE_RANGE_CLOEXEC); e != 0 {
		for fd := len(files); fd <= last; fd++ { // before Linux 5.11
			syscall.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC)
		}
	}
exec:
	step = stepExec
	_, _, e = syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(argv)), uintptr(unsafe.Pointer(envv)))
fail:
	failure[0], failure[1] = uint32(step), uint32(e)
	syscall.RawSyscall(syscall.SYS_WRITE, uintptr(failed), uintptr(unsafe.Pointer(&failure)), unsafe.Sizeof(failure))
	for {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 127, 0, 0)
	}
}

// The Go runtime's preparations for a fork: no signal may be delivered to the child before
// its handlers are reset. The linker allows these names because gVisor and others use them.

//go:linkname beforeFork syscall.runtime_BeforeFork
func beforeFork()

//go:linkname afterFork syscall.runtime_AfterFork
func afterFork()

//go:linkname afterForkInChild syscall.runtime_AfterForkInChild
func afterForkInChild()
