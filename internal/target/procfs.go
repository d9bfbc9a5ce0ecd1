package target

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// HasPrefix reports whether the path, as the task gave it, starts with text.
func (p *Path) HasPrefix(text string) bool { return bytes.HasPrefix(p.text, []byte(text)) }

// HasSuffix reports whether the path, as the task gave it, ends with text.
func (p *Path) HasSuffix(text string) bool { return bytes.HasSuffix(p.text, []byte(text)) }

// IsNamed reports whether the final component of the path, as the task gave it, is name.
// It is false for a path with trailing slashes.
func (p *Path) IsNamed(name string) bool {
	before, ok := bytes.CutSuffix(p.text, []byte(name))
	return ok && (len(before) == 0 || before[len(before)-1] == '/')
}

// procRoot is the inode number of the root directory of every procfs,
// PROC_ROOT_INO of <linux/proc_fs.h>.
const procRoot = 1

// ProcTask returns the task that a file in /proc/PID or /proc/PID/task/TID describes, as
// an id in the supervisor's PID namespace. Fd is the supervisor's own descriptor of the
// file, and st its status. The error is ESRCH if fd is not such a file, or if the task is
// gone.
//
// Only the path of such a file shows the task.
func (t *Task) ProcTask(fd int, st *unix.Stat_t) (uint32, unix.Errno) {
	if unix.Major(st.Dev) != 0 {
		return 0, unix.ESRCH // on a block device
	}
	if sys.FileSystem(fd) != unix.PROC_SUPER_MAGIC {
		return 0, unix.ESRCH
	}
	own, e := t.ownProc(st)
	if e != 0 {
		return 0, e
	}
	var link sys.FDPath
	path := make([]byte, unix.PathMax)
	n, e := sys.Readlinkat(unix.AT_FDCWD, link.Of(fd), path[:len(path)-1])
	if e != 0 {
		return 0, e
	}
	path = path[:n+1] // with a NUL
	for i := 0; i < len(path)-1; i++ {
		if path[i] != '/' {
			continue
		}
		pid, below := leadingPID(path[i+1:])
		if pid == 0 {
			continue
		}
		if own && isFile(path[i+1:], st) {
			return taskBelow(pid, below)
		}
		if !own && isProcRoot(path[:i], st.Dev) {
			task, e := taskBelow(pid, below)
			if e != 0 {
				return 0, e
			}
			return t.pidIn(path[:i], int32(task))
		}
	}
	return 0, unix.ESRCH
}

// pidIn translates the thread id pid from the PID namespace of the procfs at the path root to
// the supervisor's. The first process of that procfs is in the namespace. If it has ended, or
// the supervisor may not look at it, the namespace is assumed to be the target's.
func (t *Task) pidIn(root []byte, pid int32) (uint32, unix.Errno) {
	var b [unix.PathMax]byte
	n := copy(b[:], root)
	if n += copy(b[n:], "/1/ns/pid"); n == len(b) {
		return 0, unix.ENAMETOOLONG
	}
	ns, e := sys.Openat(unix.AT_FDCWD, &b[0], unix.O_RDONLY, 0)
	if e != 0 {
		return t.HostPID(pid)
	}
	defer unix.Close(ns)
	return t.pidFrom(ns, pid)
}

// ownProc reports whether a file of status st is in the supervisor's own procfs.
func (t *Task) ownProc(st *unix.Stat_t) (bool, unix.Errno) {
	var root unix.Stat_t
	if e := sys.Fstat(t.proc, &root); e != 0 {
		return false, e
	}
	return root.Dev == st.Dev, 0
}

// leadingPID returns the first component of path as a number, and the rest of path. It
// returns 0 if that component is not a number. Path must contain a slash or a NUL.
func leadingPID(path []byte) (pid uint32, below []byte) {
	end := bytes.IndexAny(path, "/\x00")
	n, err := strconv.ParseUint(string(path[:end]), 10, 31)
	if err != nil {
		return 0, nil
	}
	return uint32(n), path[end:]
}

// isFile reports whether path, relative to the supervisor's own procfs and
// NUL-terminated, leads to the file of status st.
func isFile(path []byte, st *unix.Stat_t) bool {
	var found unix.Statx_t
	e := sys.Statx(unix.AT_FDCWD, &path[0], unix.AT_SYMLINK_NOFOLLOW, unix.STATX_INO, &found)
	return e == 0 && found.Ino == st.Ino && unix.Mkdev(found.Dev_major, found.Dev_minor) == st.Dev
}

// isProcRoot reports whether path is the root directory of the procfs with the device
// number dev.
func isProcRoot(path []byte, dev uint64) bool {
	var b [unix.PathMax]byte
	n := copy(b[:len(b)-1], path)
	if n == 0 {
		b[0] = '/'
	}
	var found unix.Statx_t
	e := sys.Statx(unix.AT_FDCWD, &b[0], unix.AT_SYMLINK_NOFOLLOW, unix.STATX_INO, &found)
	return e == 0 && found.Ino == procRoot && unix.Mkdev(found.Dev_major, found.Dev_minor) == dev
}

// taskBelow returns the task that the file /proc/PID/below describes: pid, or a thread
// of it. The error is ESRCH for /proc/PID/net/..., which describes a network namespace.
func taskBelow(pid uint32, below []byte) (uint32, unix.Errno) {
	if rest, ok := bytes.CutPrefix(below, []byte("/task/")); ok {
		if tid, further := leadingPID(rest); tid != 0 {
			pid, below = tid, further
		}
	}
	if bytes.HasPrefix(below, []byte("/net/")) {
		return 0, unix.ESRCH
	}
	return pid, 0
}
