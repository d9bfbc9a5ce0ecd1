package target

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// maxLinks is the kernel's limit on symbolic links in one path: path_resolution(7),
// MAXSYMLINKS of <linux/namei.h>.
const maxLinks = 40

// Guard decides which directories and links a task may pass while a path is resolved.
// The kernel cannot decide this: it sees a single user in the container.
//
// Descriptors are the receiver's own, opened with O_PATH; st is the status of the
// object and valid during the call only. A method that returns an error number
// denies with it, and allows with 0; Open and its relatives return it. A Guard must not
// call a method of the Task that invalidates a Path.
type Guard interface {
	// Restricted reports whether the task is a restricted caller. If it is not, no
	// other method except Jump is called.
	Restricted() bool
	// Passable reports whether every user may search the directory at path, whose
	// status is st. If it returns false, which is always safe, Search decides.
	Passable(path *byte, st *unix.Stat_t) bool
	// Search decides whether the task may search the directory dir.
	Search(dir int, st *unix.Stat_t) unix.Errno
	// Follow decides whether the task may follow a symbolic link in the directory dir
	// that is the final component of a path: see protected_symlinks in proc_sys_fs(5).
	// It is not called for links in the directory part of a path.
	Follow(dir, link int, st *unix.Stat_t) unix.Errno
	// Jump decides whether the task may follow a magic link, which leads right to an
	// object of another task: see proc_pid_fd(5).
	Jump(link int, st *unix.Stat_t) unix.Errno
}

// guarded reports whether the guard must be asked about paths of the task.
func (t *Task) guarded() bool { return t.Guard != nil && t.Guard.Restricted() }

// openWalked is Open, one component at a time: /proc/self and /proc/thread-self mean
// the task and not the receiver, and the guard sees each directory. Resolve has
// RESOLVE_* flags of openat2(2), which the walk emulates.
func (t *Task) openWalked(p Path, resolve uint64, st *unix.Stat_t) (int, unix.Errno) {
	w := walk{resolve: resolve, confinedTo: -1, follow: p.Follow, dirPart: p.dirPart}
	switch {
	case resolve&unix.RESOLVE_BENEATH != 0 && p.text[0] == '/':
		return -1, unix.EXDEV // before the kernel looks at dirfd
	case resolve&(unix.RESOLVE_BENEATH|unix.RESOLVE_IN_ROOT) != 0:
		var e unix.Errno
		if w.confinedTo, e = t.openBase(p.dirfd); e != 0 {
			return -1, t.dirfdError(Path{dirfd: p.dirfd}, e)
		}
		defer unix.Close(w.confinedTo)
	}
	guarded := t.guarded()
	dir, name := -1, 0
	if guarded && resolve == 0 {
		if dir, name = t.skipSearchable(p); dir >= 0 {
			if fd := t.openFinal(p, name); fd >= 0 {
				*st = t.stat
				return fd, 0
			}
		}
	}
	cur, e := t.openWalkStart(&w, p, dir)
	if e == 0 {
		e = fstatOrClose(cur, &t.stat)
	}
	if e != 0 {
		return -1, t.dirfdError(p, e)
	}
	text := p.text[name:]
	w.rest = t.restBuf[len(t.restBuf)-len(text):]
	copy(w.rest, text)
	for first := true; t.nextComponent(&w.rest); first = false {
		next := -1
		e := unix.ENOTDIR
		if t.stat.Mode&unix.S_IFMT == unix.S_IFDIR {
			e = 0
			if guarded && !(first && dir >= 0) {
				e = t.Guard.Search(cur, &t.stat)
			}
		}
		if e == 0 {
			next, e = t.openNext(&w, cur)
		}
		if e == 0 && w.resolve&unix.RESOLVE_NO_XDEV != 0 && sys.MountID(next) != sys.MountID(cur) {
			unix.Close(next)
			e = unix.EXDEV
		}
		unix.Close(cur)
		if e != 0 {
			return -1, e
		}
		cur = next
	}
	if len(w.rest) > 0 && t.stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		unix.Close(cur)
		return -1, unix.ENOTDIR // a trailing slash
	}
	*st = t.stat
	return cur, 0
}

// walk is the state of one walk of a path, as struct nameidata in the kernel's
// fs/namei.c.
type walk struct {
	resolve    uint64 // RESOLVE_* flags
	confinedTo int    // directory that resolve confines the walk to, or -1
	follow     bool   // follow a symbolic link in the final component
	dirPart    bool   // the path is the directory part of a longer one
	rest       []byte // remaining components, in Task.restBuf
	links      int    // symbolic links followed so far
	rootKnown  bool   // the kernel would have set nameidata.root by now
}

// openRoot opens the directory that absolute paths start from.
func (w *walk) openRoot() (int, unix.Errno) {
	known := w.rootKnown
	w.rootKnown = true
	switch {
	case w.resolve&unix.RESOLVE_BENEATH != 0,
		// As long as the kernel does not know the root, "/" counts as another mount.
		w.resolve&unix.RESOLVE_NO_XDEV != 0 && !known:
		return -1, unix.EXDEV
	case w.resolve&unix.RESOLVE_IN_ROOT != 0:
		return sys.Openat(w.confinedTo, sys.Dot, unix.O_PATH, 0)
	}
	return sys.Openat(unix.AT_FDCWD, sys.Slash, unix.O_PATH, 0)
}

// ascends reports whether ".." in the directory dir leads to its parent. If it does not,
// it stays in dir, or fails with the error.
func (w *walk) ascends(dir int) (bool, unix.Errno) {
	w.rootKnown = true
	switch {
	case w.resolve&(unix.RESOLVE_BENEATH|unix.RESOLVE_IN_ROOT) == 0 || !sameInode(dir, w.confinedTo):
		return true, 0
	case w.resolve&unix.RESOLVE_BENEATH != 0:
		return false, unix.EXDEV
	}
	return false, 0
}

// nextComponent moves the first component of path to t.component, and reports whether
// there was one. Slashes that follow it stay in path.
func (t *Task) nextComponent(path *[]byte) bool {
	name := bytes.TrimLeft(*path, "/")
	if len(name) == 0 {
		return false
	}
	end := bytes.IndexByte(name, '/')
	if end < 0 {
		end = len(name)
	}
	*path = name[end:]
	// One byte more than NAME_MAX is enough for ENAMETOOLONG.
	n := copy(t.component[:len(t.component)-1], name[:end])
	t.component[n] = 0
	return true
}

// openNext opens t.component in the directory dir, and fills t.stat. If it is a symbolic
// link to follow, openNext puts the link's target before w.rest instead, and returns the
// directory where that starts.
func (t *Task) openNext(w *walk, dir int) (int, unix.Errno) {
	name := &t.component[0]
	if t.component[0] == '.' && t.component[1] == '.' && t.component[2] == 0 {
		ascends, e := w.ascends(dir)
		if e != 0 {
			return -1, e
		}
		switch {
		case !ascends:
			name = sys.Dot
		case w.confinedTo >= 0:
			return t.openParentIn(w.confinedTo, dir)
		}
	}
	fd, e := sys.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if e != 0 {
		return -1, e
	}
	follow := w.follow || len(w.rest) > 0
	if e := fstatOrClose(fd, &t.stat); e != 0 || t.stat.Mode&unix.S_IFMT != unix.S_IFLNK || !follow {
		return fd, e
	}
	defer unix.Close(fd)
	if w.links++; w.links > maxLinks {
		return -1, unix.ELOOP
	}
	if !w.dirPart && t.guarded() && len(bytes.TrimLeft(w.rest, "/")) == 0 {
		if e := t.Guard.Follow(dir, fd, &t.stat); e != 0 {
			return -1, e
		}
	}
	if w.resolve&unix.RESOLVE_NO_SYMLINKS != 0 {
		return -1, unix.ELOOP
	}
	next, e := t.followLink(w, dir, fd)
	if e == 0 {
		e = fstatOrClose(next, &t.stat)
	}
	return next, e
}

// openParentIn opens the parent of dir, below the directory root, and fills t.stat. The task's own root
// may lie between the two and must not end the walk: openat2(2), RESOLVE_IN_ROOT.
func (t *Task) openParentIn(root, dir int) (int, unix.Errno) {
	own, e := sys.Openat(unix.AT_FDCWD, sys.Slash, unix.O_PATH|unix.O_DIRECTORY, 0)
	if e != 0 {
		return -1, e
	}
	defer unix.Close(own)
	if sameInode(dir, own) {
		if e := t.setRoot(root); e != 0 {
			return -1, e
		}
		defer func() {
			if t.setRoot(own) != 0 {
				panic("the root of the container is gone")
			}
		}()
	}
	fd, e := sys.Openat(dir, sys.DotDot, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if e != 0 {
		return -1, e
	}
	return fd, fstatOrClose(fd, &t.stat)
}

// setRoot makes the directory fd the receiver's root.
func (t *Task) setRoot(fd int) unix.Errno {
	e := sys.Fchdir(fd)
	if e == 0 {
		e = sys.Chroot(sys.Dot)
	}
	if e2 := t.ReturnToProc(); e == 0 {
		e = e2
	}
	return e
}

// followLink follows the symbolic link that fd refers to, which is t.component in the
// directory dir and has the status t.stat. It puts the target before w.rest, and returns
// the directory where that starts. For a magic link it returns the object itself.
func (t *Task) followLink(w *walk, dir, fd int) (int, unix.Errno) {
	next, magic, done, e := t.followProcLink(dir, fd)
	if done {
		if e != 0 || !magic {
			return next, e
		}
		if t.Guard != nil {
			e = t.Guard.Jump(fd, &t.stat)
		}
		switch {
		case e != 0:
		case w.resolve&unix.RESOLVE_NO_MAGICLINKS != 0:
			e = unix.ELOOP
		// openat2(2), of RESOLVE_BENEATH and RESOLVE_IN_ROOT: "Currently, this flag also
		// disables magic-link resolution".
		case w.resolve&(unix.RESOLVE_BENEATH|unix.RESOLVE_IN_ROOT) != 0:
			e = unix.EXDEV
		}
		if e != 0 {
			unix.Close(next)
		}
		return next, e
	}
	r, e := sys.Readlinkat(fd, sys.Empty, t.linkBuf[:])
	if e != 0 {
		return -1, e
	}
	target := t.linkBuf[:r]
	room := len(t.restBuf) - len(w.rest)
	if len(target) == 0 || len(target)+1 > room {
		return -1, unix.ENAMETOOLONG
	}
	w.rest = t.restBuf[room-len(target):]
	copy(w.rest, target)
	if target[0] == '/' {
		return w.openRoot()
	}
	return sys.Openat(dir, sys.Dot, unix.O_PATH, 0)
}

// fstatOrClose fills st with the status of fd. It closes fd if it fails.
func fstatOrClose(fd int, st *unix.Stat_t) unix.Errno {
	e := sys.Fstat(fd, st)
	if e != 0 {
		unix.Close(fd)
	}
	return e
}

// sameInode reports whether two descriptors refer to the same inode, false if fstat(2)
// fails.
func sameInode(a, b int) bool {
	var sa, sb unix.Stat_t
	return sys.Fstat(a, &sa) == 0 && sys.Fstat(b, &sb) == 0 && sa.Dev == sb.Dev && sa.Ino == sb.Ino
}

// followProcLink follows the links of procfs whose target is not a path: self and
// thread-self, which depend on the task that follows them, and magic links
// (symlink(7)). The link is t.component in the directory dir. Done is false for any
// other link, and magic true for a magic link.
func (t *Task) followProcLink(dir, link int) (fd int, magic, done bool, e unix.Errno) {
	if sys.FileSystem(link) != unix.PROC_SUPER_MAGIC {
		return -1, false, false, 0
	}
	switch string(t.component[:bytes.IndexByte(t.component[:], 0)]) {
	case "self", "thread-self":
		// For self too, take the thread's directory. The process's differs from it
		// only if the threads do not share their descriptors.
		var b [prefixRoom]byte
		_ = append(strconv.AppendUint(b[:0], uint64(t.TID), 10), 0)
		fd, e = sys.Openat(t.proc, &b[0], unix.O_PATH, 0)
		return fd, false, true, e
	}
	if fd, e = openat2(dir, &t.component[0], unix.O_PATH, 0); e == unix.ELOOP {
		fd, e = sys.Openat(dir, &t.component[0], unix.O_PATH, 0)
		return fd, true, true, e
	}
	if e == 0 {
		unix.Close(fd)
	}
	return -1, false, false, 0 // has a path as its target, as /proc/mounts
}
