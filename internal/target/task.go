// Package target is what the supervisor may know of a task that waits for an
// answer: its memory, its descriptors, and what its paths mean.
package target

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Task is the task whose call a receiving thread is answering. Each such
// thread has one, and uses it again for every call.
//
// The thread has its own root and working directory (CLONE_FS unshared). Its
// root is the container's, so that the kernel itself resolves absolute paths as
// in the container, symbolic links and all. Its working directory is the
// supervisor's /proc, so that the relative paths "TID/cwd/..." and "TID/fd/N"
// lead to where the task's relative paths and descriptors lead.
type Task struct {
	TID   uint32
	Guard Guard // of where the task may walk; nil: everywhere

	proc int // O_PATH descriptor of the supervisor's /proc
	long int // descriptor that the last Path needed, or -1

	pidfd    int    // of task pidfdTID, or -1
	pidfdTID uint32 // see Dup

	pidNS uint64 // inode number of the supervisor's own PID namespace, or 0 if not known yet

	// The path as the task gave it stands at path[room:]. What must go before
	// it is written into the room, so that nothing is copied.
	path [prefixRoom + unix.PathMax]byte
	half [prefixRoom + unix.PathMax]byte // see shorten

	// Scratch space of openWalked.
	walk   [2 * unix.PathMax]byte
	target [unix.PathMax]byte
	name   [nameMax + 2]byte
	at     unix.Stat_t // of what the walk has come to
}

// prefixRoom is enough for "TID/fd/N/".
const prefixRoom = 64

// nameMax is NAME_MAX of <linux/limits.h>.
const nameMax = 255

// View is the file tree of a container.
type View struct {
	MountNS int // descriptor of its mount namespace
	Root    int // O_PATH descriptor of its root directory
}

// Enter makes the calling thread one that answers calls of a container, and
// returns its Task. The caller must have locked its goroutine to the thread,
// for ever, and be in the user namespace of the container already. Proc is an O_PATH descriptor of a /proc in which the thread ids of
// notifications are found.
func Enter(proc int, v View) (*Task, error) {
	t := &Task{proc: proc, long: -1, pidfd: -1}
	var own, other unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/mnt", &own); err != nil {
		return nil, fmt.Errorf("stat of the supervisor's mount namespace: %w", err)
	}
	if err := unix.Fstat(v.MountNS, &other); err != nil {
		return nil, fmt.Errorf("stat of the container's mount namespace: %w", err)
	}
	// Threads share their root and working directory unless told otherwise.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return nil, fmt.Errorf("unshare(CLONE_FS): %w", err)
	}
	if own.Ino != other.Ino {
		if err := unix.Setns(v.MountNS, unix.CLONE_NEWNS); err != nil {
			return nil, fmt.Errorf("entering the container's mount namespace: %w", err)
		}
	}
	if err := unix.Fchdir(v.Root); err != nil {
		return nil, fmt.Errorf("entering the container's root directory: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return nil, fmt.Errorf("chroot to the container's root directory: %w", err)
	}
	if err := unix.Fchdir(proc); err != nil {
		return nil, fmt.Errorf("chdir to /proc: %w", err)
	}
	return t, nil
}

// Reset makes t stand for another task.
func (t *Task) Reset(tid uint32) {
	t.TID = tid
	t.closeLong()
}

func (t *Task) closeLong() {
	if t.long >= 0 {
		unix.Close(t.long)
		t.long = -1
	}
}

// Close lets go of everything that t holds.
func (t *Task) Close() {
	t.Reset(0)
	if t.pidfd >= 0 {
		unix.Close(t.pidfd)
		t.pidfd = -1
	}
}

// AdoptRoot makes the task's root directory that of the calling thread. It is
// needed for each call as soon as the tasks of the container do not all have
// the same root any more.
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

// Uninspectable tells whether the supervisor may not look into the task: see "Ptrace
// access mode checking" in ptrace(2).
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

// Read copies from the task's memory at addr to b and returns how many bytes
// could be read: fewer than len(b) if the rest is not mapped.
func (t *Task) Read(addr uintptr, b []byte) (int, unix.Errno) {
	return sys.ReadMemory(t.TID, addr, b)
}

// Write copies b to the task's memory at addr, or returns EFAULT.
func (t *Task) Write(addr uintptr, b []byte) unix.Errno {
	if n, e := sys.WriteMemory(t.TID, addr, b); e != 0 || n < len(b) {
		return unix.EFAULT
	}
	return 0
}

// firstRead is how much of a string is read at first: most are shorter.
const firstRead = 256

// ReadString reads a NUL-terminated string at addr into b, and returns its
// length without the NUL. The error is EFAULT, or ENAMETOOLONG if the string and
// its NUL do not fit.
func (t *Task) ReadString(addr uintptr, b []byte) (int, unix.Errno) {
	page := uintptr(unix.Getpagesize())
	for n, want := 0, firstRead; n < len(b); want = len(b) {
		// Not across the end of a page: the next one may not be mapped.
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

// OpenedAsPath tells whether the task's descriptor fd was opened with O_PATH;
// EBADF if it is not open.
func (t *Task) OpenedAsPath(fd int32) (bool, unix.Errno) {
	var b [prefixRoom]byte
	t.appendFD(b[:0], fd, 0)
	var st unix.Statx_t
	if sys.Statx(unix.AT_FDCWD, &b[0], unix.AT_SYMLINK_NOFOLLOW, unix.STATX_MODE, &st) != 0 {
		return false, unix.EBADF
	}
	// proc_pid_fd(5): the permission bits of the link show how the file was
	// opened. One opened neither for reading nor for writing was opened as path
	// (or with the undocumented access mode 3, which is as good as none).
	return st.Mode&0o600 == 0, 0
}

// Dup returns a duplicate of the task's descriptor fd: EBADF if it is not open,
// ENOSYS if the kernel cannot duplicate it (before Linux 6.9). Closing the
// duplicate makes some file systems flush the file.
func (t *Task) Dup(fd int32) (int, unix.Errno) {
	fresh := t.pidfd < 0 || t.pidfdTID != t.TID
	if fresh {
		if e := t.openPidfd(); e != 0 {
			return -1, unix.ENOSYS
		}
	}
	dup, e := sys.PidfdGetfd(t.pidfd, fd)
	if e == unix.ESRCH && !fresh { // the id has been used again since
		if e := t.openPidfd(); e != 0 {
			return -1, unix.ENOSYS
		}
		dup, e = sys.PidfdGetfd(t.pidfd, fd)
	}
	switch e {
	case 0, unix.EBADF:
		return dup, e
	}
	return -1, unix.ENOSYS
}

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

// appendFD appends "TID/fd/N" and end.
func (t *Task) appendFD(b []byte, fd int32, end byte) []byte {
	b = append(t.appendTID(b), "fd/"...)
	return append(strconv.AppendInt(b, int64(fd), 10), end)
}
