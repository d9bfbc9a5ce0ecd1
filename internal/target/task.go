package target

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Task is the target: the task whose call a receiver is handling. Each receiver has
// one Task and reuses it for every notification.
//
// Only the receiver that called Enter may use a Task: it holds scratch buffers
// without a lock, and its methods depend on that thread's root and working
// directory. A Path points into these buffers, and is valid until the next call of
// Path, PathOf, FD, Parent, ParentOf, ParentOfText, OpenParent, OpenFD or Reset.
type Task struct {
	TID   uint32 // thread id in the supervisor's PID namespace; set by Reset
	Guard Guard  // decides where the task may walk; nil allows everything

	// NoNamespaceIDs makes the Task do without the ids of namespaces, which kernels before
	// Linux 6.18 lack. Tests set it.
	NoNamespaceIDs bool

	proc    int // O_PATH descriptor of the supervisor's /proc
	longDir int // directory that the last Path starts from (see shorten), or -1

	pidfd    int    // of the task pidfdTID, or -1; see Dup
	pidfdTID uint32 // outlives Reset

	pidNS uint64 // inode number of the supervisor's PID namespace, or 0 if unknown

	ipcNS        IPCNamespace // the receiver's; zero if unknown
	ipcInode     uint64       // its inode number; no other has it while the receiver is there
	ipcHome      IPCNamespace // the worker's, where new threads are; zero if unknown
	ipcElsewhere bool         // the receiver cannot enter the task's: see EnterIPC

	// The path that the task gave starts at path[prefixRoom]. A prefix such as
	// "TID/cwd/" is written right before it, so the path itself is never copied.
	path  [prefixRoom + unix.PathMax]byte
	short [prefixRoom + unix.PathMax]byte // the path made by shorten

	// Scratch space of openWalked.
	restBuf   [2 * unix.PathMax]byte // walk.rest, at its end
	linkBuf   [unix.PathMax]byte     // target of a symbolic link
	component [nameMax + 2]byte      // component to look up, NUL-terminated
	stat      unix.Stat_t            // status of what the walk has reached
}

// prefixRoom is more than the length of "TID/fd/N/" and of other names in /proc/TID.
const prefixRoom = 64

// nameMax is NAME_MAX of <linux/limits.h>.
const nameMax = 255

// View identifies the file tree that the tasks of a container see.
type View struct {
	MountNS int // descriptor of the mount namespace
	Root    int // O_PATH descriptor of the root directory
}

// Enter turns the calling thread into a receiver of the container whose file tree is
// v, and returns the receiver's Task.
//
// The goroutine must be locked to its thread for good (runtime.LockOSThread), because
// Enter changes the thread's mount namespace, root and working directory. The thread
// must already be in the container's user namespace. Proc is an O_PATH descriptor of
// a /proc that shows the thread ids of notifications; the Task uses it until Close.
// The caller keeps ownership of proc and of the descriptors in v.
func Enter(proc int, v View) (*Task, error) {
	t := &Task{proc: proc, longDir: -1, pidfd: -1}
	var own, other unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/mnt", &own); err != nil {
		return nil, fmt.Errorf("cannot stat the supervisor's mount namespace: %w", err)
	}
	if err := unix.Fstat(v.MountNS, &other); err != nil {
		return nil, fmt.Errorf("cannot stat the container's mount namespace: %w", err)
	}
	// Go creates its threads with CLONE_FS: they share root and working directory.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return nil, fmt.Errorf("cannot unshare the root and working directory of the thread (CLONE_FS): %w", err)
	}
	if own.Ino != other.Ino {
		if err := unix.Setns(v.MountNS, unix.CLONE_NEWNS); err != nil {
			return nil, fmt.Errorf("cannot enter the container's mount namespace: %w", err)
		}
	}
	if err := unix.Fchdir(v.Root); err != nil {
		return nil, fmt.Errorf("cannot change to the container's root directory: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return nil, fmt.Errorf("cannot chroot to the container's root directory: %w", err)
	}
	if err := unix.Fchdir(proc); err != nil {
		return nil, fmt.Errorf("cannot change to /proc: %w", err)
	}
	return t, nil
}

// Reset makes t stand for the task tid, and invalidates the last Path.
func (t *Task) Reset(tid uint32) {
	t.TID = tid
	t.closeLongDir()
}

func (t *Task) closeLongDir() {
	if t.longDir >= 0 {
		unix.Close(t.longDir)
		t.longDir = -1
	}
}

// Close closes the descriptors that t has opened. It does not undo Enter.
func (t *Task) Close() {
	t.Reset(0)
	if t.pidfd >= 0 {
		unix.Close(t.pidfd)
		t.pidfd = -1
	}
}

// AdoptRoot sets the receiver's root directory to the task's. Once a task of the
// container has changed its root, the receiver must call it for every notification.
// The errors are those of chdir(2) and chroot(2); ENOENT if the task is gone.
func (t *Task) AdoptRoot() unix.Errno {
	var b [prefixRoom]byte
	_ = append(t.appendTID(b[:0]), "root\x00"...)
	e := sys.Chdir(&b[0])
	switch e {
	case 0:
		e = sys.Chroot(sys.Dot)
	case unix.EOPNOTSUPP: // the task has made a directory its root that no path leads to
		e = sys.Fchroot(sys.FailfsRoot, 0)
	}
	if e2 := t.ReturnToProc(); e == 0 {
		e = e2
	}
	return e
}

// Uninspectable reports whether the kernel denies the supervisor access to the task's
// /proc files: see "Ptrace access mode checking" in ptrace(2).
func (t *Task) Uninspectable() bool {
	var b [prefixRoom]byte
	_ = append(t.appendTID(b[:0]), "ns/mnt\x00"...)
	var st unix.Statx_t
	e := sys.Statx(unix.AT_FDCWD, &b[0], 0, 0, &st)
	return e == unix.EACCES || e == unix.EPERM
}

// appendTID appends "TID/".
func (t *Task) appendTID(b []byte) []byte {
	return append(strconv.AppendUint(b, uint64(t.TID), 10), '/')
}

// Read copies len(b) bytes of the task's memory at addr to b. It returns the number of
// bytes copied, which is smaller if the memory after them is not mapped. The errors
// are those of process_vm_readv(2): EFAULT if nothing is mapped at addr, ESRCH if the
// task is gone.
func (t *Task) Read(addr uintptr, b []byte) (int, unix.Errno) {
	return sys.ReadMemory(t.TID, addr, b)
}

// Write copies b to the task's memory at addr: see process_vm_writev(2). The error is
// EFAULT if it cannot write all of b, even if the task is gone.
func (t *Task) Write(addr uintptr, b []byte) unix.Errno {
	if n, e := sys.WriteMemory(t.TID, addr, b); e != 0 || n < len(b) {
		return unix.EFAULT
	}
	return 0
}

// WriteConstant is Write for memory that the task may be unable to write, such as constants. If
// it is mapped privately, the task gets a copy of the page, as from a debugger: see
// proc_pid_mem(5). The error is EFAULT, also if the kernel is configured to refuse that.
func (t *Task) WriteConstant(addr uintptr, b []byte) unix.Errno {
	var path [prefixRoom]byte
	_ = append(t.appendTID(path[:0]), "mem\x00"...)
	fd, e := sys.Openat(unix.AT_FDCWD, &path[0], unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if e != 0 {
		return unix.EFAULT
	}
	defer unix.Close(fd)
	if n, err := unix.Pwrite(fd, b, int64(addr)); err != nil || n < len(b) {
		return unix.EFAULT
	}
	return 0
}

// firstRead is the size of the first read of a string, in bytes: most are shorter.
const firstRead = 256

// ReadString reads the NUL-terminated string at addr into b, and returns its length
// without the NUL. The error is EFAULT if the string is not in readable memory, and
// ENAMETOOLONG if b has no room for the string and its NUL.
func (t *Task) ReadString(addr uintptr, b []byte) (int, unix.Errno) {
	page := uintptr(unix.Getpagesize())
	for n, want := 0, firstRead; n < len(b); want = len(b) {
		// Stop at the end of the page: the next one may not be mapped.
		at := addr + uintptr(n)
		k := min(want, len(b)-n, int(page-at%page))
		got, e := t.Read(at, b[n:n+k])
		if e != 0 || got == 0 {
			return 0, unix.EFAULT
		}
		for i := n; i < n+got; i++ {
			if b[i] == 0 {
				return i, 0
			}
		}
		n += got
	}
	return 0, unix.ENAMETOOLONG
}

// OpenedAsPath reports whether the task's descriptor fd was opened with O_PATH. The
// error is EBADF if fd is not open.
func (t *Task) OpenedAsPath(fd int32) (bool, unix.Errno) {
	var b [prefixRoom]byte
	t.appendFD(b[:0], fd, 0)
	var st unix.Statx_t
	if sys.Statx(unix.AT_FDCWD, &b[0], unix.AT_SYMLINK_NOFOLLOW, unix.STATX_MODE, &st) != 0 {
		return false, unix.EBADF
	}
	// proc_pid_fd(5): the permission bits of the link show the access mode. Neither
	// read nor write means O_PATH, or the access mode 3 of open(2) and mq_open(3), which
	// permits no I/O either.
	if st.Mode&0o600 != 0 {
		return false, 0
	}
	dup, e := t.Dup(fd)
	if e != 0 {
		return true, 0 // most probably: mode 3 is rare
	}
	defer unix.Close(dup)
	flags, err := unix.FcntlInt(uintptr(dup), unix.F_GETFL, 0)
	return err != nil || flags&unix.O_PATH != 0, 0
}

// Dup returns a duplicate of the task's descriptor fd, close-on-exec: see
// pidfd_getfd(2). The caller must close it; some file systems then flush the file. The
// error is EBADF if fd is not open, and ENOSYS if the kernel cannot duplicate it: before
// Linux 6.9, it cannot for a thread that does not share its descriptors with its process.
func (t *Task) Dup(fd int32) (int, unix.Errno) {
	fresh := t.pidfd < 0 || t.pidfdTID != t.TID
	if fresh {
		if e := t.openPidfd(); e != 0 {
			return t.dupOfProcess(fd)
		}
	}
	dup, e := sys.PidfdGetfd(t.pidfd, fd)
	if e == unix.ESRCH && !fresh { // the kernel has reused the thread id
		if e := t.openPidfd(); e != 0 {
			return t.dupOfProcess(fd)
		}
		dup, e = sys.PidfdGetfd(t.pidfd, fd)
	}
	switch e {
	case 0, unix.EBADF:
		return dup, e
	}
	return -1, unix.ENOSYS
}

// dupOfProcess is Dup by the pidfd of the task's process.
func (t *Task) dupOfProcess(fd int32) (int, unix.Errno) {
	process, _, _, e := t.ProcessID()
	if e != 0 || process == 0 || process != t.TID && !sys.SharesFiles(t.TID, process) {
		return -1, unix.ENOSYS
	}
	pidfd, e := sys.PidfdOpen(process, 0)
	if e != 0 {
		return -1, unix.ENOSYS
	}
	defer unix.Close(pidfd)
	dup, e := sys.PidfdGetfd(pidfd, fd)
	if e != 0 && e != unix.EBADF {
		return -1, unix.ENOSYS
	}
	return dup, e
}

// openPidfd sets t.pidfd to a pidfd of the task. It fails before Linux 6.9, which added
// PIDFD_THREAD.
func (t *Task) openPidfd() unix.Errno {
	if t.pidfd >= 0 {
		unix.Close(t.pidfd)
		t.pidfd = -1
	}
	fd, e := sys.PidfdOpen(t.TID, unix.PIDFD_THREAD)
	if e == 0 {
		t.pidfd, t.pidfdTID = fd, t.TID
	}
	return e
}

// appendFD appends "TID/fd/N" and the byte end: a NUL or a slash.
func (t *Task) appendFD(b []byte, fd int32, end byte) []byte {
	b = append(t.appendTID(b), "fd/"...)
	return append(strconv.AppendInt(b, int64(fd), 10), end)
}

// Signal sends a signal to the task itself. Nothing happens if the task is gone, or, before Linux 6.9,
// if its process has other threads.
func (t *Task) Signal(sig unix.Signal) {
	fresh := t.pidfd < 0 || t.pidfdTID != t.TID
	if fresh && t.openPidfd() != 0 {
		t.signalProcess(sig)
		return
	}
	e := sys.PidfdSendSignal(t.pidfd, sig)
	if e == unix.ESRCH && !fresh && t.openPidfd() == 0 { // the kernel has reused the thread id
		_ = sys.PidfdSendSignal(t.pidfd, sig)
	}
}

// signalProcess is Signal by the pidfd of the process, if the task is its only thread.
func (t *Task) signalProcess(sig unix.Signal) {
	pidfd, e := sys.PidfdOpen(t.TID, 0)
	if e != 0 {
		return
	}
	defer unix.Close(pidfd)
	var b [maxStatus]byte
	status, e := t.status(&b)
	if threads, _ := valueOf(status, "Threads"); e == 0 && string(threads) == "1" {
		_ = sys.PidfdSendSignal(pidfd, sig)
	}
}
