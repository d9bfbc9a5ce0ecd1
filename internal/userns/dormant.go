package userns

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Dormant is a program that a child of the calling process executes when a lock is free. Until then,
// the child costs nothing but pages that the caller changes after the fork.
type Dormant struct {
	Path  string   // path of the program
	Args  []string // arguments, including argv[0]; at least one
	Shown []string // the command line until then, as far as there is room where the caller has its own
	Env   []string // environment
	Files []int    // descriptors that become 0, 1, 2, ...; fewer than 32. The child has no others
	// Until is the descriptor, among those of the child, whose exclusive lock of flock(2) it waits for.
	// The file must have been opened for it alone: see flock(2).
	Until int
	// Mark is the descriptor, among those of the child, that it locks for writing with fcntl(2), from
	// the byte At on: Marked finds it by that.
	Mark int
	At   int64
}

// markLock returns the lock of a byte.
func markLock(at int64) unix.Flock_t {
	return unix.Flock_t{Type: unix.F_WRLCK, Start: at, Len: 1}
}

// Marked returns the process id of the child of any process that holds the mark at the byte at of the
// file fd, or 0. It is the same child after it has executed its program.
func Marked(fd int, at int64) (pid int, err error) {
	l := markLock(at)
	if err := unix.FcntlFlock(uintptr(fd), unix.F_GETLK, &l); err != nil {
		return 0, fmt.Errorf("fcntl(F_GETLK): %w", err)
	}
	if l.Type == unix.F_UNLCK {
		return 0, nil
	}
	return int(l.Pid), nil
}

// Start starts the child, in a process group of its own, and returns its process id when it has its
// mark. The caller must wait for it: wait(2). The error wraps EAGAIN if another process has the mark.
func (d *Dormant) Start() (pid int, err error) {
	a := dormantArgs{until: d.Until, mark: d.Mark, lock: markLock(d.At)}
	if a.path, err = syscall.BytePtrFromString(d.Path); err != nil {
		return 0, err
	}
	argv, err := syscall.SlicePtrFromStrings(d.Args)
	if err != nil {
		return 0, err
	}
	envv, err := syscall.SlicePtrFromStrings(d.Env)
	if err != nil {
		return 0, err
	}
	a.argv, a.envv = &argv[0], &envv[0]
	a.shown, a.title = commandLine(d.Shown)
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return 0, os.NewSyscallError("pipe2", err)
	}
	defer unix.Close(p[0])
	s := spare{}
	defer s.close()
	for _, fd := range d.Files {
		a.files = append(a.files, s.of(fd))
	}
	a.reports = s.of(p[1])
	unix.Close(p[1])
	if s.err != nil {
		return 0, s.err
	}
	syscall.ForkLock.Lock()
	pid, e := forkDormant(&a)
	syscall.ForkLock.Unlock()
	if e != 0 {
		return 0, os.NewSyscallError("clone", e)
	}
	s.close() // otherwise, this process would hold the pipe that it reads
	s.fds = nil
	continueUntil(p[0], pid)
	r, failed, err := readReport(p[0])
	if failed || err != nil {
		_ = unix.Kill(pid, unix.SIGKILL)
		_, _ = Wait(pid)
	}
	if failed {
		err = fmt.Errorf("starting %s: %w", d.Args[0], syscall.Errno(r.value))
	}
	return pid, err
}

// commandLine returns where the kernel shows the command line of this process, and what to write there
// to show args.
func commandLine(args []string) (shown unsafe.Pointer, title []byte) {
	start := unsafe.StringData(os.Args[0])
	n := 0
	for _, arg := range os.Args {
		if unsafe.StringData(arg) != (*byte)(unsafe.Add(unsafe.Pointer(start), n)) { // a test has changed it
			return nil, nil
		}
		n += len(arg) + 1
	}
	title = make([]byte, n)
	i := 0
	for _, arg := range args {
		i += copy(title[i:n-1], arg) + 1
		if i >= n {
			break
		}
	}
	return unsafe.Pointer(start), title
}

// dormantArgs are the arguments of forkDormant.
type dormantArgs struct {
	path        *byte
	argv, envv  **byte
	files       []int
	until, mark int
	lock        unix.Flock_t
	shown       unsafe.Pointer // the command line of the caller
	title       []byte         // what that of the child becomes
	reports     int            // pipe for what fails, which the child closes when it waits
}

// forkDormant forks. The child waits for the lock, and executes the program. The rules are those of
// fork.
//
//go:noinline
//go:norace
//go:nocheckptr
func forkDormant(a *dormantArgs) (int, syscall.Errno) {
	var (
		pid uintptr
		e   syscall.Errno
		r   report
	)
	beforeFork()
	pid, _, e = syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if e != 0 || pid != 0 {
		afterFork()
		return int(pid), e
	}
	afterForkInChild()

	syscall.RawSyscall(syscall.SYS_SETPGID, 0, 0, 0)
	syscall.RawSyscall(syscall.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGCONT), 0) // see Command.Continued
	for i := range a.title {
		*(*byte)(unsafe.Add(a.shown, i)) = a.title[i]
	}
	for i := range a.files {
		if _, _, e = syscall.RawSyscall(syscall.SYS_DUP3, uintptr(a.files[i]), uintptr(i), 0); e != 0 {
			goto fail
		}
	}
	// The lock comes last: closing any descriptor of its file would release it (fcntl(2)).
	if _, _, e = syscall.RawSyscall(syscall.SYS_DUP3, uintptr(a.reports), uintptr(len(a.files)), syscall.O_CLOEXEC); e != 0 {
		goto fail
	}
	a.reports = len(a.files)
	if _, _, e = syscall.RawSyscall(unix.SYS_CLOSE_RANGE, uintptr(a.reports+1), ^uintptr(0)>>32, 0); e != 0 {
		goto fail
	}
	if _, _, e = syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(a.mark), unix.F_SETLK, uintptr(unsafe.Pointer(&a.lock))); e != 0 {
		goto fail
	}
	syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(a.reports), 0, 0)
	for {
		_, _, e = syscall.RawSyscall(syscall.SYS_FLOCK, uintptr(a.until), unix.LOCK_EX, 0)
		if e != syscall.EINTR {
			break
		}
	}
	if e == 0 {
		syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(a.path)), uintptr(unsafe.Pointer(a.argv)), uintptr(unsafe.Pointer(a.envv)))
	}
fail:
	r.value = uint32(e)
	syscall.RawSyscall(syscall.SYS_WRITE, uintptr(a.reports), uintptr(unsafe.Pointer(&r)), unsafe.Sizeof(r))
	for {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 127, 0, 0)
	}
}
