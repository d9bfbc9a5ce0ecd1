package tracee

import (
	"bytes"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxLinks is the kernel's limit of symbolic links in one path: "ELOOP: Too many
// symbolic links were encountered", path_resolution(7).
const maxLinks = 40

// A Guard decides where the task may walk. It is asked about our own O_PATH
// descriptors, and given the status of what they refer to.
type Guard interface {
	// Restricted tells whether there is anything that the task may not do. If not, it
	// is not asked further.
	Restricted() bool
	// Search decides whether the task may look up names in the directory dir.
	Search(dir int, st *unix.Stat_t) unix.Errno
	// Follow decides whether the task may follow a symbolic link in the directory dir
	// that is the last name of a path.
	Follow(dir, link int, st *unix.Stat_t) unix.Errno
}

// guarded tells whether the guard is to be asked about a path.
func (t *Tracee) guarded() bool { return t.Guard != nil && t.Guard.Restricted() }

// taskRoot stands for the task's own root directory.
const taskRoot = -1

// openStray opens what p names as Open does, walking the path step by step, so
// that /proc/self and /proc/thread-self mean the task and not the supervisor, and
// that the guard sees each directory. Absolute paths start from our descriptor root, above
// which ".." does not lead.
func (t *Tracee) openStray(p Path, root int, st *unix.Stat_t) (int, unix.Errno) {
	var cur int
	var e unix.Errno
	if p.text[0] == '/' {
		cur, e = openRoot(root)
	} else {
		cur, e = t.openStart(p.dirfd)
	}
	if e == 0 {
		e = fstatOrClose(cur, st)
	}
	if e != 0 {
		return -1, t.dirfdError(p, e)
	}
	guarded := t.guarded()
	rest := t.walk[len(t.walk)-len(p.text):]
	copy(rest, p.text)
	for links := 0; t.nextName(&rest); {
		next := -1
		e := unix.ENOTDIR
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			e = 0
			if guarded {
				e = t.search(cur, st)
			}
		}
		if e == 0 {
			follow := p.Follow || len(rest) > 0
			next, e = t.step(cur, root, follow, &rest, &links, st)
		}
		unix.Close(cur)
		if e != 0 {
			return -1, e
		}
		cur = next
	}
	if len(rest) > 0 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		unix.Close(cur)
		return -1, unix.ENOTDIR // a slash at the end
	}
	return cur, 0
}

// search asks the guard about the directory dir, of status st.
func (t *Tracee) search(dir int, st *unix.Stat_t) unix.Errno {
	t.asked = *st // so that st need not be on the heap
	return t.Guard.Search(dir, &t.asked)
}

// nextName takes the next name off the path, and puts it into t.name. What is left
// starts with the slashes that follow it.
func (t *Tracee) nextName(path *[]byte) bool {
	name := bytes.TrimLeft(*path, "/")
	if len(name) == 0 {
		return false
	}
	end := bytes.IndexByte(name, '/')
	if end < 0 {
		end = len(name)
	}
	*path = name[end:]
	// One byte too long is as good as many.
	n := copy(t.name[:len(t.name)-1], name[:end])
	t.name[n] = 0
	return true
}

// step opens t.name in the directory dir, and fills st. The target of a symbolic link that
// is to be followed is put before rest instead, and the directory to go on from returned.
func (t *Tracee) step(dir, root int, follow bool, rest *[]byte, links *int, st *unix.Stat_t) (int, unix.Errno) {
	name := &t.name[0]
	if root != taskRoot && t.name[0] == '.' && t.name[1] == '.' && t.name[2] == 0 && sameInode(dir, root) {
		name = &dot[0]
	}
	fd, e := openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW)
	if e != 0 {
		return -1, e
	}
	if e := fstatOrClose(fd, st); e != 0 || st.Mode&unix.S_IFMT != unix.S_IFLNK || !follow {
		return fd, e
	}
	defer unix.Close(fd)
	if *links++; *links > maxLinks {
		return -1, unix.ELOOP
	}
	if t.guarded() && len(bytes.TrimLeft(*rest, "/")) == 0 {
		t.asked = *st
		if e := t.Guard.Follow(dir, fd, &t.asked); e != 0 {
			return -1, e
		}
	}
	next, done, e := t.procLink(dir, fd)
	if done && e == 0 {
		e = fstatOrClose(next, st)
	}
	if done || e != 0 {
		return next, e
	}
	r, _, e := syscall.RawSyscall6(unix.SYS_READLINKAT, uintptr(fd), uintptr(unsafe.Pointer(&emptyPath[0])),
		uintptr(unsafe.Pointer(&t.target[0])), uintptr(len(t.target)), 0, 0)
	if e != 0 {
		return -1, e
	}
	target := t.target[:r]
	room := len(t.walk) - len(*rest)
	if len(target) == 0 || len(target)+1 > room {
		return -1, unix.ENAMETOOLONG
	}
	*rest = t.walk[room-len(target):]
	copy(*rest, target)
	if target[0] == '/' {
		next, e = openRoot(root)
	} else {
		next, e = openat(dir, &dot[0], unix.O_PATH)
	}
	if e == 0 {
		e = fstatOrClose(next, st)
	}
	return next, e
}

// openRoot opens the directory that absolute paths start from.
func openRoot(root int) (int, unix.Errno) {
	if root != taskRoot {
		return openat(root, &dot[0], unix.O_PATH)
	}
	return openat(unix.AT_FDCWD, &slash[0], unix.O_PATH)
}

// fstatOrClose fills st for the descriptor fd, or closes it.
func fstatOrClose(fd int, st *unix.Stat_t) unix.Errno {
	e := Fstat(fd, st)
	if e != 0 {
		unix.Close(fd)
	}
	return e
}

func sameInode(a, b int) bool {
	var sa, sb unix.Stat_t
	return Fstat(a, &sa) == 0 && Fstat(b, &sb) == 0 && sa.Dev == sb.Dev && sa.Ino == sb.Ino
}

var (
	emptyPath = [...]byte{0}
	slash     = [...]byte{'/', 0}
	dot       = [...]byte{'.', 0}
)

// procLink follows those links of procfs that have no path as their target: to the
// task itself, and to files that it has open. The link is t.name in the directory dir.
// Done is false for other links.
func (t *Tracee) procLink(dir, link int) (fd int, done bool, e unix.Errno) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(link, &fs); err != nil || fs.Type != unix.PROC_SUPER_MAGIC {
		return -1, false, 0
	}
	switch string(t.name[:bytes.IndexByte(t.name[:], 0)]) {
	case "self", "thread-self":
		// The supervisor's own /proc, by the thread's id: self, which is the
		// process, differs from that only for threads that share no descriptors.
		var b [room]byte
		_ = append(strconv.AppendUint(b[:0], uint64(t.TID), 10), 0)
		fd, e = openat(t.proc, &b[0], unix.O_PATH)
		return fd, true, e
	}
	if fd, e = openat2(dir, &t.name[0], unix.O_PATH, 0); e == unix.ELOOP {
		fd, e = openat(dir, &t.name[0], unix.O_PATH)
		return fd, true, e
	}
	if e == 0 {
		unix.Close(fd)
	}
	return -1, false, 0 // an ordinary link, such as /proc/mounts
}

// appendSelfFD appends "self/fd/N/".
func appendSelfFD(b []byte, fd int) []byte {
	b = append(b, "self/fd/"...)
	return append(strconv.AppendUint(b, uint64(fd), 10), '/')
}
