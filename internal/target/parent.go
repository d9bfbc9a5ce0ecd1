package target

import (
	"bytes"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Parent splits the path at the address addr in the task's memory, which starts from
// the task's descriptor dirfd if it is relative, into its directory part and its final
// component: the directory in which mkdir(2) makes the inode, and the inode's name there.
//
// Name is NUL-terminated, without trailing slashes; slash reports whether there are
// any. For the root directory, name is ".". Like dir, name points into the buffers of
// the Task: see there for how long it is valid. The errors are those of Path, and ENOENT
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

// split is Parent for the n bytes at t.path[prefixRoom].
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
		return t.basePath(dirfd), name, slash, 0 // has no link to follow
	}
	head := bytes.TrimRight(trimmed[:cut], "/")
	if len(head) == 0 {
		return rootPath, name, slash, 0
	}
	t.path[prefixRoom+len(head)] = 0 // replaces a slash
	dir, e = t.newPath(dirfd, len(head), true)
	dir.dirPart = true
	return dir, name, slash, e
}

// rootPath is the path of the root directory.
var rootPath = Path{Ptr: sys.Slash, Follow: true, text: unsafe.Slice(sys.Slash, 1), dirfd: unix.AT_FDCWD}

// ParentOf is Parent for the path p, which becomes invalid.
func (t *Task) ParentOf(p Path) (dir Path, name *byte, slash bool, e unix.Errno) {
	return t.split(p.dirfd, len(p.text))
}

// ParentOfText is Parent for a path in the supervisor's own memory, which must not be
// empty. A relative one starts from the task's working directory.
func (t *Task) ParentOfText(text []byte) (dir Path, name *byte, slash bool, e unix.Errno) {
	n := copy(t.path[prefixRoom:len(t.path)-1], text)
	t.path[prefixRoom+n] = 0
	return t.split(unix.AT_FDCWD, n)
}

// OpenCwd opens the task's working directory with O_PATH. The error is ENOENT if the
// task is gone.
func (t *Task) OpenCwd() (int, unix.Errno) { return t.openBase(unix.AT_FDCWD) }

// ReturnToProc changes the receiver's working directory back to the supervisor's /proc.
// A handler that has changed it must call this before any other method of t.
func (t *Task) ReturnToProc() unix.Errno {
	return sys.Fchdir(t.proc)
}

// OpenParent opens, with O_PATH, the directory in which open(2) with O_CREAT makes the
// missing file that p names, and fills st with its status. Name and slash are those of
// Parent, except that dangling symbolic links are followed if p.Follow is set. Resolve
// has RESOLVE_* flags of openat2(2). The caller must close parent. The path p becomes
// invalid. The errors are those of Open, and ELOOP for too many links.
func (t *Task) OpenParent(p Path, resolve uint64, st *unix.Stat_t) (parent int, name *byte, slash bool, e unix.Errno) {
	for range maxLinks {
		dir, name, slash, e := t.split(p.dirfd, len(p.text))
		if e != 0 {
			return -1, nil, false, e
		}
		dir.dirfd = p.dirfd // with RESOLVE_IN_ROOT, an absolute path starts there too
		if parent, e = t.openSearchable(dir, resolve, st); e != 0 {
			return -1, nil, false, e
		}
		if !p.Follow || slash {
			return parent, name, slash, 0
		}
		target := t.restBuf[:unix.PathMax]
		n, e := sys.Readlinkat(parent, name, target)
		if e == unix.ENOENT || e == unix.EINVAL {
			return parent, name, false, 0
		}
		unix.Close(parent)
		if e != 0 {
			return -1, nil, false, e
		}
		if p, e = t.pathOfTarget(dir, target[:n]); e != 0 {
			return -1, nil, false, e
		}
	}
	return -1, nil, false, unix.ELOOP
}

// openSearchable opens the directory dir if the guard allows the task to search it.
func (t *Task) openSearchable(dir Path, resolve uint64, st *unix.Stat_t) (int, unix.Errno) {
	fd, e := t.OpenResolve(dir, resolve, st)
	if e != 0 || !t.guarded() {
		return fd, e
	}
	e = unix.ENOTDIR
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		t.stat = *st // passing st to an interface would move it to the heap
		e = t.Guard.Search(fd, &t.stat)
	}
	if e != 0 {
		unix.Close(fd)
		return -1, e
	}
	return fd, 0
}

// OpenDirectory is Open for the directory part of a path: the guard must also allow the
// task to search dir itself. The error is ENOTDIR if dir is not a directory.
func (t *Task) OpenDirectory(dir Path, st *unix.Stat_t) (int, unix.Errno) {
	return t.openSearchable(dir, 0, st)
}

// pathOfTarget returns the path of the target of a symbolic link in the directory dir.
func (t *Task) pathOfTarget(dir Path, target []byte) (Path, unix.Errno) {
	n := 0
	if target[0] != '/' && dir.text != nil {
		n = copy(t.path[prefixRoom:], dir.text) // already there, unless dir is rootPath
		t.path[prefixRoom+n] = '/'
		n++
	}
	if n+len(target) >= unix.PathMax {
		return Path{}, unix.ENAMETOOLONG
	}
	n += copy(t.path[prefixRoom+n:], target)
	t.path[prefixRoom+n] = 0
	return t.newPath(dir.dirfd, n, true)
}

// OpenResolve is Open with RESOLVE_* flags of openat2(2). If there are any, a path
// through a magic link fails with ELOOP, unless the path must be walked anyway.
func (t *Task) OpenResolve(p Path, resolve uint64, st *unix.Stat_t) (int, unix.Errno) {
	switch {
	case resolve == 0:
		return t.Open(p, st)
	case p.text != nil && (p.viaSelf || t.guarded()):
		return t.openWalked(p, resolve, st)
	}
	dirfd := p.dirfd
	// openat2(2), RESOLVE_IN_ROOT: "Treat the directory referred to by dirfd as the root
	// directory".
	if p.text != nil && p.text[0] == '/' && resolve&unix.RESOLVE_IN_ROOT == 0 {
		dirfd = unix.AT_FDCWD
	}
	start, e := t.openBase(dirfd)
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
