package userns

import (
	"errors"
	"fmt"
	"math"
	"os"
	"syscall"
	"time"
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
	// Continued has the program get SIGCONT when its parent ends, who would have continued it if a signal
	// had stopped it: prctl(2), PR_SET_PDEATHSIG.
	Continued bool
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
	pid, reports, err := c.start(&gate{paths: []string{c.Path}})
	if err != nil {
		return 0, err
	}
	defer unix.Close(reports)
	if c.Place == nil { // otherwise, it belongs to the terminal of the caller, and job control may stop it
		continueUntil(reports, pid)
	}
	r, ok, err := readReport(reports)
	if !ok && err == nil {
		return pid, nil // a successful exec has closed the pipe
	}
	return 0, c.failed(pid, r, err)
}

// failed waits for the end of the child pid, which has reported r or could not, because of err, and
// returns the error.
func (c *Command) failed(pid int, r report, err error) error {
	_, _ = Wait(pid) // the child has reported what failed
	if err != nil {
		return err
	}
	step := steps[r.step]
	if r.step == stepChdir {
		step = fmt.Sprintf(step, c.Place.Dir)
	}
	return fmt.Errorf("starting %s in the container's user namespace: %s: %w", c.Args[0], step, syscall.Errno(r.value))
}

// start forks, and returns the process id of the child, and a descriptor from which its reports can be
// read.
func (c *Command) start(g *gate) (pid, reports int, err error) {
	var paths []*byte
	for _, path := range g.paths {
		p, err := syscall.BytePtrFromString(path)
		if err != nil {
			return 0, 0, err
		}
		paths = append(paths, p)
	}
	argv, err := syscall.SlicePtrFromStrings(c.Args)
	if err != nil {
		return 0, 0, err
	}
	envv, err := syscall.SlicePtrFromStrings(c.Env)
	if err != nil {
		return 0, 0, err
	}
	a := forkArgs{ns: -1, mount: -1, paths: paths, argv: &argv[0], envv: &envv[0], last: -1, filter: g.filter, flags: g.flags, continued: c.Continued}
	if c.Place != nil {
		if a.dir, err = syscall.BytePtrFromString(c.Place.Dir); err != nil {
			return 0, 0, err
		}
		a.setsid = c.Place.Setsid
		restoreFileLimit()
	}
	if unix.CloseRange(math.MaxUint32, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) != nil { // not known
		if a.last, err = lastDescriptor(); err != nil {
			return 0, 0, err
		}
	}
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return 0, 0, os.NewSyscallError("pipe2", err)
	}
	// Duplicate all descriptors to numbers that are not those that the files get in the child.
	s := spare{}
	defer s.close()
	for _, fd := range c.Files {
		a.files = append(a.files, s.of(fd))
	}
	a.reports = s.of(p[1])
	unix.Close(p[1])
	if c.Namespace >= 0 {
		a.ns = s.of(c.Namespace)
	}
	if c.Place != nil {
		a.mount = s.of(c.Place.MountNS)
	}
	if g.filter != nil {
		a.released, a.release = s.of(g.released), g.release
	}
	if s.err != nil {
		unix.Close(p[0])
		return 0, 0, s.err
	}
	syscall.ForkLock.Lock()
	pid, e := fork(&a)
	syscall.ForkLock.Unlock()
	if e != 0 {
		unix.Close(p[0])
		return 0, 0, os.NewSyscallError("clone", e)
	}
	return pid, p[0], nil
}

// spare holds duplicates of descriptors, with numbers from firstSpare on.
type spare struct {
	fds []int
	err error // the first one
}

// of returns a duplicate of fd.
func (s *spare) of(fd int) int {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, firstSpare)
	if err == nil {
		s.fds = append(s.fds, dup)
	} else if s.err == nil {
		s.err = fmt.Errorf("duplicating descriptor %d: %w", fd, err)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EMFILE) {
			s.err = fmt.Errorf("%w (the limit on open files is too low: raise it with ulimit -n to 64 or more)", s.err)
		}
	}
	return dup
}

func (s *spare) close() {
	for _, fd := range s.fds {
		unix.Close(fd)
	}
}

// report is what the child reports.
type report struct {
	step  uint32 // that has failed, or stepGated
	value uint32 // the errno; with stepGated, the number of the listener
	path  uint32 // index of the program's path
}

// readReport reads the next report. Ok is false if there is none, because the child has executed the
// program, or has ended.
func readReport(fd int) (r report, ok bool, err error) {
	buf := (*[unsafe.Sizeof(r)]byte)(unsafe.Pointer(&r))[:]
	for {
		n, err := unix.Read(fd, buf)
		if err != unix.EINTR {
			return r, n > 0, os.NewSyscallError("read", err)
		}
	}
}

// lookEvery is how often a child is looked at that does not report.
const lookEvery = time.Second

// continueUntil waits until there is a report of the child pid, or its end, and continues the child if a
// signal stops it: nobody else waits for that.
func continueUntil(reports, pid int) {
	fds := []unix.PollFd{{Fd: int32(reports), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, int(lookEvery.Milliseconds()))
		if n > 0 || err != nil && err != unix.EINTR {
			return
		}
		var stopped unix.Siginfo
		if unix.Waitid(unix.P_PID, pid, &stopped, unix.WSTOPPED|unix.WNOHANG, nil) == nil && stopped.Signo != 0 {
			_ = unix.Kill(pid, unix.SIGCONT) // nobody has waited for its end
		}
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
	stepFind
	stepFilter
	stepGated // no failure
	stepCapget
	stepCapset
	stepExec
)

var steps = [...]string{
	stepDup:    "dup3",
	stepSetns:  "setns(CLONE_NEWUSER)",
	stepMount:  "setns(CLONE_NEWNS)",
	stepChdir:  "chdir to %s",
	stepFind:   "finding the program",
	stepFilter: "seccomp",
	stepCapget: "capget",
	stepCapset: "capset",
	stepExec:   "execve",
}

// atCwd is AT_FDCWD.
const atCwd = ^uintptr(99)

// maxCap is greater than the number of any capability.
const maxCap = 64

// forkArgs are the arguments of fork. Those about a gate are not used without a filter.
type forkArgs struct {
	ns, mount  int // descriptors of namespaces; -1: none
	dir        *byte
	setsid     bool
	continued  bool
	paths      []*byte // the first one that can be executed is the program
	argv, envv **byte
	files      []int // see Command.Files
	last       int   // the largest number of the caller's descriptors; -1: the kernel has CLOSE_RANGE_CLOEXEC
	reports    int   // pipe for reports

	filter   *unix.SockFprog
	flags    []uintptr // see Gate
	released int       // pipe from which the child reads a byte before it executes the program
	release  int       // the parent's end, which the child closes, unless it is one of files now
}

// fork forks, and executes the program in the child. It has the form of
// forkAndExecInChild in package syscall: after the fork, the child must not grow the stack,
// allocate, or call anything except raw system calls.
//
//go:noinline
//go:norace
//go:nocheckptr
func fork(a *forkArgs) (int, syscall.Errno) {
	var (
		pid, n uintptr
		e      syscall.Errno
		r      report
		st     unix.Statx_t
		header = unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		caps   [2]unix.CapUserData
	)
	beforeFork()
	pid, _, e = syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if e != 0 || pid != 0 {
		afterFork()
		return int(pid), e
	}
	afterForkInChild()

	r.step = stepDup
	for i := range a.files {
		if _, _, e = syscall.RawSyscall(syscall.SYS_DUP3, uintptr(a.files[i]), uintptr(i), 0); e != 0 {
			goto fail
		}
	}
	if a.ns >= 0 {
		r.step = stepSetns
		if _, _, e = syscall.RawSyscall(unix.SYS_SETNS, uintptr(a.ns), unix.CLONE_NEWUSER, 0); e != 0 {
			goto fail
		}
	}
	if a.mount >= 0 {
		// setns(2) refuses a process that shares its root directory with another one.
		// The child of a fork does not.
		r.step = stepMount
		if _, _, e = syscall.RawSyscall(unix.SYS_SETNS, uintptr(a.mount), unix.CLONE_NEWNS, 0); e != 0 {
			goto fail
		}
		r.step = stepChdir
		if _, _, e = syscall.RawSyscall(syscall.SYS_CHDIR, uintptr(unsafe.Pointer(a.dir)), 0, 0); e != 0 {
			goto fail
		}
		if a.setsid { // EPERM is impossible: the child of a fork leads no process group
			syscall.RawSyscall(syscall.SYS_SETSID, 0, 0, 0)
		}
		if a.filter == nil {
			goto exec
		}
		r.step = stepFind
		for e = syscall.ENOENT; r.path < uint32(len(a.paths)); r.path++ {
			_, _, e = syscall.RawSyscall6(unix.SYS_STATX, atCwd, uintptr(unsafe.Pointer(a.paths[r.path])), 0, unix.STATX_TYPE, uintptr(unsafe.Pointer(&st)), 0)
			if e != 0 || st.Mode&unix.S_IFMT == unix.S_IFDIR {
				e = syscall.ENOENT
				continue
			}
			_, _, e = syscall.RawSyscall6(unix.SYS_FACCESSAT2, atCwd, uintptr(unsafe.Pointer(a.paths[r.path])), unix.X_OK, unix.AT_EACCESS, 0, 0)
			if e == 0 {
				break
			}
		}
		if e != 0 {
			goto fail
		}
		if a.release >= len(a.files) { // so that the child notices the end of its parent
			syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(a.release), 0, 0)
		}
		r.step = stepFilter
		for i := range a.flags {
			n, _, e = syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, a.flags[i], uintptr(unsafe.Pointer(a.filter)))
			if e != syscall.EINVAL {
				break
			}
		}
		if e != 0 {
			goto fail
		}
		// From here on, a notified call waits until the listener is served.
		r.step, r.value = stepGated, uint32(n)
		syscall.RawSyscall(syscall.SYS_WRITE, uintptr(a.reports), uintptr(unsafe.Pointer(&r)), unsafe.Sizeof(r))
		for {
			n, _, e = syscall.RawSyscall(syscall.SYS_READ, uintptr(a.released), uintptr(unsafe.Pointer(&st)), 1)
			if e != syscall.EINTR {
				break
			}
		}
		if n != 1 { // the caller has ended
			goto exit
		}
		goto exec
	}
	if a.ns >= 0 {
		r.step = stepCapget
		if _, _, e = syscall.RawSyscall(unix.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&caps)), 0); e != 0 {
			goto fail
		}
		caps[0].Inheritable, caps[1].Inheritable = caps[0].Permitted, caps[1].Permitted
		r.step = stepCapset
		if _, _, e = syscall.RawSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&caps)), 0); e != 0 {
			goto fail
		}
		for c := range uintptr(maxCap) { // EINVAL if the kernel does not have it
			syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, c, 0, 0, 0)
		}
	}
	if a.continued { // after the change of credentials, which would reset it
		syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGCONT), 0)
	}
	// Close what the caller inherited without close-on-exec: the program would otherwise
	// keep open, for example, a pipe whose reader waits for the end of the file.
	if _, _, e = syscall.RawSyscall(unix.SYS_CLOSE_RANGE, uintptr(len(a.files)), ^uintptr(0)>>32, unix.CLOSE_RANGE_CLOEXEC); e != 0 {
		for fd := len(a.files); fd <= a.last; fd++ { // before Linux 5.11
			syscall.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC)
		}
	}
exec:
	r.step = stepExec
	_, _, e = syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(a.paths[r.path])), uintptr(unsafe.Pointer(a.argv)), uintptr(unsafe.Pointer(a.envv)))
fail:
	r.value = uint32(e)
	syscall.RawSyscall(syscall.SYS_WRITE, uintptr(a.reports), uintptr(unsafe.Pointer(&r)), unsafe.Sizeof(r))
exit:
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
