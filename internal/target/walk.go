package target

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
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
	// Passable tells whether everybody may look up names in the directory at path, of status
	// st. If not, or in doubt, Search decides.
	Passable(path *byte, st *unix.Stat_t) bool
	// Search decides whether the task may look up names in the directory dir.
	Search(dir int, st *unix.Stat_t) unix.Errno
	// Follow decides whether the task may follow a symbolic link in the directory dir
	// that is the last name of a path: of the whole one that it has given, and not of
	// the directory part.
	Follow(dir, link int, st *unix.Stat_t) unix.Errno
	// Jump decides whether the task may follow a link of procfs that leads right to what
	// another task has open.
	Jump(link int, st *unix.Stat_t) unix.Errno
}

// guarded tells whether the guard is to be asked about a path.
func (t *Task) guarded() bool { return t.Guard != nil && t.Guard.Restricted() }

// openWalked opens what p names as Open does, walking the path step by step, so
// that /proc/self and /proc/thread-self mean the task and not the supervisor, and
// that the guard sees each directory. Resolve are the flags of openat2(2).
func (t *Task) openWalked(p Path, resolve uint64, st *unix.Stat_t) (int, unix.Errno) {
	w := walk{resolve: resolve, root: -1, follow: p.Follow, whole: !p.parent}
	switch {
	case resolve&unix.RESOLVE_BENEATH != 0 && p.text[0] == '/':
		return -1, unix.EXDEV // wherever dirfd leads
	case resolve&(unix.RESOLVE_BENEATH|unix.RESOLVE_IN_ROOT) != 0:
		var e unix.Errno
		if w.root, e = t.openStart(p.dirfd); e != 0 {
			return -1, t.dirfdError(Path{dirfd: p.dirfd}, e)
		}
		defer unix.Close(w.root)
	}
	guarded := t.guarded()
	dir, name := -1, 0
	if guarded && resolve == 0 {
		if dir, name = t.skipSearchable(p); dir >= 0 {
			if fd := t.openLast(p, name); fd >= 0 {
				*st = t.at
				return fd, 0
			}
		}
	}
	cur, e := t.openDirectory(&w, p, dir)
	if e == 0 {
		e = fstatOrClose(cur, &t.at)
	}
	if e != 0 {
		return -1, t.dirfdError(p, e)
	}
	text := p.text[name:]
	w.rest = t.walk[len(t.walk)-len(text):]
	copy(w.rest, text)
	for first := true; t.nextName(&w.rest); first = false {
		next := -1
		e := unix.ENOTDIR
		if t.at.Mode&unix.S_IFMT == unix.S_IFDIR {
			e = 0
			if guarded && !(first && dir >= 0) {
				e = t.Guard.Search(cur, &t.at)
			}
		}
		if e == 0 {
			next, e = t.step(&w, cur)
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
	if len(w.rest) > 0 && t.at.Mode&unix.S_IFMT != unix.S_IFDIR {
		unix.Close(cur)
		return -1, unix.ENOTDIR // a slash at the end
	}
	*st = t.at
	return cur, 0
}

// walk is one walk of a path.
type walk struct {
	resolve uint64
	root    int    // where the walk starts, if resolve confines it, or -1
	follow  bool   // a link at the end
	whole   bool   // the path is not the directory part of another
	rest    []byte // what is left of the path
	links   int    // followed
	rooted  bool   // the kernel knows the root directory by now
}

// top opens the directory that absolute paths start from.
func (w *walk) top() (int, unix.Errno) {
	rooted := w.rooted
	w.rooted = true
	switch {
	case w.resolve&unix.RESOLVE_BENEATH != 0,
		// A link to "/" counts as another mount until the kernel has looked which it is.
		w.resolve&unix.RESOLVE_NO_XDEV != 0 && !rooted:
		return -1, unix.EXDEV
	case w.resolve&unix.RESOLVE_IN_ROOT != 0:
		return sys.Openat(w.root, sys.Dot, unix.O_PATH, 0)
	}
	return sys.Openat(unix.AT_FDCWD, sys.Slash, unix.O_PATH, 0)
}

// up tells whether ".." is to be looked up in the directory dir, or else an error, or 0 if it
// leads nowhere.
func (w *walk) up(dir int) (bool, unix.Errno) {
	w.rooted = true
	switch {
	case w.resolve&(unix.RESOLVE_BENEATH|unix.RESOLVE_IN_ROOT) == 0 || !sameInode(dir, w.root):
		return true, 0
	case w.resolve&unix.RESOLVE_BENEATH != 0:
		return false, unix.EXDEV
	}
	return false, 0
}

// nextName takes the next name off the path, and puts it into t.name. What is left
// starts with the slashes that follow it.
func (t *Task) nextName(path *[]byte) bool {
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

// step opens t.name in the directory dir, and fills t.at. The target of a symbolic link that
// is to be followed is put before w.rest instead, and the directory to go on from returned.
func (t *Task) step(w *walk, dir int) (int, unix.Errno) {
	name := &t.name[0]
	if t.name[0] == '.' && t.name[1] == '.' && t.name[2] == 0 {
		up, e := w.up(dir)
		if e != 0 {
			return -1, e
		}
		if !up {
			name = sys.Dot
		}
	}
	fd, e := sys.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if e != 0 {
		return -1, e
	}
	follow := w.follow || len(w.rest) > 0
	if e := fstatOrClose(fd, &t.at); e != 0 || t.at.Mode&unix.S_IFMT != unix.S_IFLNK || !follow {
		return fd, e
	}
	defer unix.Close(fd)
	if w.links++; w.links > maxLinks {
		return -1, unix.ELOOP
	}
	if w.whole && t.guarded() && len(bytes.TrimLeft(w.rest, "/")) == 0 {
		if e := t.Guard.Follow(dir, fd, &t.at); e != 0 {
			return -1, e
		}
	}
	if w.resolve&unix.RESOLVE_NO_SYMLINKS != 0 {
		return -1, unix.ELOOP
	}
	next, e := t.follow(w, dir, fd)
	if e == 0 {
		e = fstatOrClose(next, &t.at)
	}
	return next, e
}

// follow returns the directory to go on from after the symbolic link that fd refers to,
// which is t.name in the directory dir, or what a link of procfs leads to. Its status is t.at.
func (t *Task) follow(w *walk, dir, fd int) (int, unix.Errno) {
	next, magic, done, e := t.procLink(dir, fd)
	if done {
		if e != 0 || !magic {
			return next, e
		}
		if t.guarded() {
			e = t.Guard.Jump(fd, &t.at)
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
	r, e := sys.Readlinkat(fd, sys.Empty, t.target[:])
	if e != 0 {
		return -1, e
	}
	target := t.target[:r]
	room := len(t.walk) - len(w.rest)
	if len(target) == 0 || len(target)+1 > room {
		return -1, unix.ENAMETOOLONG
	}
	w.rest = t.walk[room-len(target):]
	copy(w.rest, target)
	if target[0] == '/' {
		return w.top()
	}
	return sys.Openat(dir, sys.Dot, unix.O_PATH, 0)
}

// fstatOrClose fills st for the descriptor fd, or closes it.
func fstatOrClose(fd int, st *unix.Stat_t) unix.Errno {
	e := sys.Fstat(fd, st)
	if e != 0 {
		unix.Close(fd)
	}
	return e
}

func sameInode(a, b int) bool {
	var sa, sb unix.Stat_t
	return sys.Fstat(a, &sa) == 0 && sys.Fstat(b, &sb) == 0 && sa.Dev == sb.Dev && sa.Ino == sb.Ino
}

// procLink follows those links of procfs that have no path as their target: to the
// task itself, and to files that it has open. The link is t.name in the directory dir.
// Done is false for other links; magic tells of links that openat2(2) calls so.
func (t *Task) procLink(dir, link int) (fd int, magic, done bool, e unix.Errno) {
	if sys.FileSystem(link) != unix.PROC_SUPER_MAGIC {
		return -1, false, false, 0
	}
	switch string(t.name[:bytes.IndexByte(t.name[:], 0)]) {
	case "self", "thread-self":
		// The supervisor's own /proc, by the thread's id: self, which is the
		// process, differs from that only for threads that share no descriptors.
		var b [prefixRoom]byte
		_ = append(strconv.AppendUint(b[:0], uint64(t.TID), 10), 0)
		fd, e = sys.Openat(t.proc, &b[0], unix.O_PATH, 0)
		return fd, false, true, e
	}
	if fd, e = openat2(dir, &t.name[0], unix.O_PATH, 0); e == unix.ELOOP {
		fd, e = sys.Openat(dir, &t.name[0], unix.O_PATH, 0)
		return fd, true, true, e
	}
	if e == 0 {
		unix.Close(fd)
	}
	return -1, false, false, 0 // an ordinary link, such as /proc/mounts
}
