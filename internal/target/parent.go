package target

import (
	"bytes"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Parent returns the directory in which a call makes what the path at addr
// names, relative to the task's descriptor dirfd, and the name there.
//
// Name is NUL-terminated, without the slashes that follow it; slash tells whether
// there are any. It is "." for the root directory. Both are valid until the next
// call of Parent, Path, FD or Reset. Errors are EFAULT, ENAMETOOLONG, and ENOENT
// for an empty path.
func (t *Task) Parent(dirfd int32, addr uintptr) (dir Path, name *byte, slash bool, e unix.Errno) {
	n, e := t.ReadString(addr, t.path[prefixRoom:])
	if e != 0 {
		return Path{}, nil, false, e
	}
	if n == 0 {
		return Path{}, nil, false, unix.ENOENT
	}
	return t.split(dirfd, n)
}

// split is Parent for the path of n bytes in t.path[room:].
func (t *Task) split(dirfd int32, n int) (dir Path, name *byte, slash bool, e unix.Errno) {
	text := t.path[prefixRoom : prefixRoom+n]
	trimmed := bytes.TrimRight(text, "/")
	if len(trimmed) == 0 {
		return rootPath, sys.Dot, true, 0
	}
	slash = len(trimmed) < n
	t.path[prefixRoom+len(trimmed)] = 0
	cut := bytes.LastIndexByte(trimmed, '/')
	name = &trimmed[cut+1]
	if cut < 0 {
		return t.start(dirfd), name, slash, 0 // which leads over no link
	}
	head := bytes.TrimRight(trimmed[:cut], "/")
	if len(head) == 0 {
		return rootPath, name, slash, 0
	}
	t.path[prefixRoom+len(head)] = 0 // in the place of a slash
	dir, e = t.relative(dirfd, len(head), true)
	dir.parent = true
	return dir, name, slash, e
}

// rootPath is the path of the root directory.
var rootPath = Path{Ptr: sys.Slash, Follow: true, text: unsafe.Slice(sys.Slash, 1), dirfd: unix.AT_FDCWD}

// ParentOf is Parent for the path p, which is not valid any more then.
func (t *Task) ParentOf(p Path) (dir Path, name *byte, slash bool, e unix.Errno) {
	return t.split(p.dirfd, len(p.text))
}

// ParentOfText is Parent for a path that has been read already, relative to the
// task's working directory. It is not empty.
func (t *Task) ParentOfText(text []byte) (dir Path, name *byte, slash bool, e unix.Errno) {
	n := copy(t.path[prefixRoom:len(t.path)-1], text)
	t.path[prefixRoom+n] = 0
	return t.split(unix.AT_FDCWD, n)
}

// OpenCwd opens the task's working directory with O_PATH.
func (t *Task) OpenCwd() (int, unix.Errno) { return t.openStart(unix.AT_FDCWD) }

// ReturnToProc makes the supervisor's /proc the thread's working directory again.
func (t *Task) ReturnToProc() unix.Errno {
	return sys.Fchdir(t.proc)
}

// OpenParent opens with O_PATH the directory in which open(2) with O_CREAT makes
// the file that p names, which does not exist, and fills st. It returns what
// Parent does: a dangling symbolic link that is to be followed leads on. Resolve
// are the flags of openat2(2). The path p is not valid any more then.
func (t *Task) OpenParent(p Path, resolve uint64, st *unix.Stat_t) (parent int, name *byte, slash bool, e unix.Errno) {
	for range maxLinks {
		dir, name, slash, e := t.split(p.dirfd, len(p.text))
		if e != 0 {
			return -1, nil, false, e
		}
		dir.dirfd = p.dirfd // from which a path may be confined, though it starts with a slash
		if parent, e = t.openParent(dir, resolve, st); e != 0 {
			return -1, nil, false, e
		}
		if !p.Follow || slash {
			return parent, name, slash, 0
		}
		target := t.walk[:unix.PathMax]
		n, e := sys.Readlinkat(parent, name, target)
		if e == unix.ENOENT || e == unix.EINVAL {
			return parent, name, false, 0
		}
		unix.Close(parent)
		if e != 0 {
			return -1, nil, false, e
		}
		if p, e = t.retarget(dir, target[:n]); e != 0 {
			return -1, nil, false, e
		}
	}
	return -1, nil, false, unix.ELOOP
}

// openParent opens the directory dir, in which a name is to be looked up.
func (t *Task) openParent(dir Path, resolve uint64, st *unix.Stat_t) (int, unix.Errno) {
	fd, e := t.OpenResolve(dir, resolve, st)
	if e != 0 || !t.guarded() {
		return fd, e
	}
	e = unix.ENOTDIR
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		t.at = *st // so that st need not be on the heap
		e = t.Guard.Search(fd, &t.at)
	}
	if e != 0 {
		unix.Close(fd)
		return -1, e
	}
	return fd, 0
}

// OpenDirectory is Open for a directory in which a name is to be looked up.
func (t *Task) OpenDirectory(dir Path, st *unix.Stat_t) (int, unix.Errno) {
	return t.openParent(dir, 0, st)
}

// retarget returns the path that a link in the directory dir leads to.
func (t *Task) retarget(dir Path, target []byte) (Path, unix.Errno) {
	n := 0
	if target[0] != '/' && dir.text != nil {
		n = copy(t.path[prefixRoom:], dir.text) // in place, but for the root directory
		t.path[prefixRoom+n] = '/'
		n++
	}
	if n+len(target) >= unix.PathMax {
		return Path{}, unix.ENAMETOOLONG
	}
	n += copy(t.path[prefixRoom+n:], target)
	t.path[prefixRoom+n] = 0
	return t.relative(dir.dirfd, n, true)
}

// OpenResolve is Open with the RESOLVE_* flags of openat2(2). If there are any,
// magic links lead nowhere, but in a walk: ELOOP.
func (t *Task) OpenResolve(p Path, resolve uint64, st *unix.Stat_t) (int, unix.Errno) {
	switch {
	case resolve == 0:
		return t.Open(p, st)
	case p.text != nil && (p.viaSelf || t.guarded()):
		return t.openWalked(p, resolve, st)
	}
	dirfd := p.dirfd
	// openat2(2), RESOLVE_IN_ROOT: "Treat the directory referred to by dirfd as the root directory".
	if p.text != nil && p.text[0] == '/' && resolve&unix.RESOLVE_IN_ROOT == 0 {
		dirfd = unix.AT_FDCWD
	}
	start, e := t.openStart(dirfd)
	if e != 0 {
		return -1, e
	}
	defer unix.Close(start)
	flags, text := unix.O_PATH, sys.Dot
	if !p.Follow {
		flags |= unix.O_NOFOLLOW
	}
	if p.text != nil {
		text = &p.text[0]
	}
	fd, e := openat2(start, text, flags, resolve)
	if e != 0 {
		return -1, e
	}
	return fd, fstatOrClose(fd, st)
}
