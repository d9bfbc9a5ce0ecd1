package target

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Path is the object that a system call names by a path, a descriptor, or both. It
// points into the buffers of its Task: see Task for how long it is valid.
type Path struct {
	Ptr    *byte // NUL-terminated path for system calls of the receiver
	Follow bool  // follow a symbolic link in the final component

	text    []byte // the path as the task gave it; nil for an empty path or a descriptor
	dirfd   int32  // directory that a relative text starts from
	viaSelf bool   // text may lead through /proc/self or /proc/thread-self
	dirPart bool   // the directory part of a longer path
}

// FD returns the path of the object that the task's descriptor fd refers to. It does
// not check that fd is open.
func (t *Task) FD(fd int32) Path {
	t.appendFD(t.path[:0], fd, 0)
	// The magic link leads right to the object. If the object is a symbolic link, the
	// kernel does not follow that one in turn.
	return Path{Ptr: &t.path[0], Follow: true, dirfd: fd}
}

// Path reads the path at the address addr in the task's memory. A relative path starts
// from the task's descriptor dirfd, or from its working directory if dirfd is
// AT_FDCWD. Flags are AT_EMPTY_PATH and AT_SYMLINK_NOFOLLOW of openat(2) and its
// relatives.
//
// The error is EFAULT for a bad address, ENAMETOOLONG for a path of PATH_MAX bytes or
// more, and ENOENT for an empty path without AT_EMPTY_PATH. If the path must be
// shortened, it is also any error of opening its first half.
func (t *Task) Path(dirfd int32, addr uintptr, flags uint32) (Path, unix.Errno) {
	n := 0
	if addr != 0 || flags&unix.AT_EMPTY_PATH == 0 { // since Linux 6.11, NULL means ""
		var e unix.Errno
		if n, e = t.ReadString(addr, t.path[prefixRoom:]); e != 0 {
			return Path{}, e
		}
	}
	if n == 0 {
		if flags&unix.AT_EMPTY_PATH == 0 {
			return Path{}, unix.ENOENT
		}
		return t.basePath(dirfd), 0
	}
	return t.newPath(dirfd, n, flags&unix.AT_SYMLINK_NOFOLLOW == 0)
}

// basePath returns the path of the directory that paths relative to dirfd start from.
func (t *Task) basePath(dirfd int32) Path {
	if dirfd != unix.AT_FDCWD {
		return t.FD(dirfd)
	}
	_ = append(t.appendTID(t.path[:0]), "cwd\x00"...)
	return Path{Ptr: &t.path[0], Follow: true, dirfd: dirfd}
}

// PathOf is Path for a path in the supervisor's own memory, such as the interpreter of a
// script. A relative one starts from the task's working directory, and a symbolic link
// at the end is followed. The error is ENAMETOOLONG.
func (t *Task) PathOf(text []byte) (Path, unix.Errno) {
	if len(text) >= unix.PathMax {
		return Path{}, unix.ENAMETOOLONG
	}
	n := copy(t.path[prefixRoom:], text)
	t.path[prefixRoom+n] = 0
	return t.newPath(unix.AT_FDCWD, n, true)
}

// newPath returns the Path of the n bytes at t.path[prefixRoom], relative to dirfd.
func (t *Task) newPath(dirfd int32, n int, follow bool) (Path, unix.Errno) {
	text := t.path[prefixRoom : prefixRoom+n]
	p := Path{
		Ptr:     &t.path[prefixRoom],
		Follow:  follow,
		text:    text,
		dirfd:   dirfd,
		viaSelf: namesSelf(text),
	}
	if text[0] == '/' {
		return p, 0
	}
	// Write "TID/cwd/" or "TID/fd/N/" right before the path.
	var b [prefixRoom]byte
	prefix := t.appendTID(b[:0])
	if dirfd == unix.AT_FDCWD {
		prefix = append(prefix, "cwd/"...)
	} else {
		prefix = t.appendFD(b[:0], dirfd, '/')
	}
	start := prefixRoom - len(prefix)
	copy(t.path[start:], prefix)
	p.Ptr = &t.path[start]
	if len(prefix)+n+1 > unix.PathMax && !p.viaSelf {
		return t.shorten(p, start, prefixRoom+n)
	}
	return p, 0
}

// namesSelf reports whether path has a component self or thread-self, or starts with a
// link to them that every container has in /dev.
func namesSelf(path []byte) bool {
	if bytes.HasPrefix(path, []byte("/dev/fd")) || bytes.HasPrefix(path, []byte("/dev/std")) {
		return true
	}
	for rest := path; ; {
		i := bytes.Index(rest, []byte("self"))
		if i < 0 {
			return false
		}
		before := bytes.TrimSuffix(rest[:i], []byte("thread-"))
		rest = rest[i+len("self"):]
		if (len(before) == 0 || before[len(before)-1] == '/') && (len(rest) == 0 || rest[0] == '/') {
			return true
		}
	}
}

// shorten returns p, whose prefix has made it longer than the kernel allows
// (t.path[start:end]), relative to a descriptor of its first half, t.longDir.
func (t *Task) shorten(p Path, start, end int) (Path, unix.Errno) {
	slash := start + (end-start)/2
	for slash < end && t.path[slash] != '/' {
		slash++
	}
	if slash == end {
		if dirfd := p.dirfd; dirfd != unix.AT_FDCWD {
			if _, bad := t.OpenedAsPath(dirfd); bad != 0 {
				return Path{}, bad
			}
		}
		return Path{}, unix.ENAMETOOLONG // a component of 2 KiB
	}
	t.path[slash] = 0
	fd, e := sys.Openat(unix.AT_FDCWD, &t.path[start], unix.O_PATH|unix.O_DIRECTORY, 0)
	t.path[slash] = '/'
	if e != 0 {
		return Path{}, t.dirfdError(p, e)
	}
	t.closeLongDir()
	t.longDir = fd
	b := append(append(sys.AppendFD(t.short[:0], fd), '/'), t.path[slash+1:end]...)
	_ = append(b, 0)
	p.Ptr = &t.short[0]
	return p, 0
}

// Descriptor returns the task's descriptor fd if p names the object by it alone. Ok is
// false if there is a path, or if p is the working directory.
func (p *Path) Descriptor() (fd int32, ok bool) {
	return p.dirfd, p.text == nil && p.dirfd != unix.AT_FDCWD
}

// ViaProcSelf reports whether the path may lead through /proc/self or
// /proc/thread-self, where the receiver would find itself. Such a path must not be
// resolved in a single system call; Open walks it.
func (p *Path) ViaProcSelf() bool { return p.viaSelf }

// Open opens the object that p names with O_PATH, and fills st with its status. The
// caller must close the descriptor. The errors are those that path_resolution(7) and
// openat(2) would give the task, EBADF for a bad dirfd included, and those of Guard.
//
// A path may lead through /proc/self without naming it: in "chown www-data
// /var/log/nginx/access.log" the file may link to /dev/stdout, and that to
// /proc/self/fd/1. There the receiver would find itself or, in another PID namespace,
// nothing. So Open lets the kernel follow no magic link: a path that needs one, or that
// leads nowhere, is walked by component. The same applies to every path of a restricted
// caller.
func (t *Task) Open(p Path, st *unix.Stat_t) (int, unix.Errno) {
	if p.viaSelf || p.text != nil && t.guarded() {
		return t.openWalked(p, 0, st)
	}
	if fd, e := t.openSingle(p, st); fd >= 0 {
		return fd, e
	}
	fd, e := t.open(p)
	if p.text != nil && (e == unix.ELOOP || e == unix.ENOENT) {
		return t.openWalked(p, 0, st)
	}
	if e != 0 {
		return -1, t.dirfdError(p, e)
	}
	if e := sys.Fstat(fd, st); e != 0 {
		unix.Close(fd)
		return -1, e
	}
	return fd, 0
}

// openSingle opens a relative path of a single component, and fills st. It returns -1
// if the path is another one, cannot be opened, or is a symbolic link to be followed.
func (t *Task) openSingle(p Path, st *unix.Stat_t) (fd int, e unix.Errno) {
	if !p.Follow || p.text == nil || bytes.IndexByte(p.text, '/') >= 0 {
		return -1, 0
	}
	if fd, e = sys.Openat(unix.AT_FDCWD, p.Ptr, unix.O_PATH|unix.O_NOFOLLOW, 0); e != 0 {
		return -1, e
	}
	if e = sys.Fstat(fd, st); e != 0 || st.Mode&unix.S_IFMT == unix.S_IFLNK {
		unix.Close(fd)
		return -1, e
	}
	return fd, 0
}

// open opens the object that p names. A magic link in the path gives ELOOP.
func (t *Task) open(p Path) (int, unix.Errno) {
	flags := unix.O_PATH
	if !p.Follow {
		flags |= unix.O_NOFOLLOW
	}
	switch {
	case p.text == nil || !p.Follow && bytes.IndexByte(p.text, '/') < 0:
		return sys.Openat(unix.AT_FDCWD, p.Ptr, flags, 0) // has no link to follow
	case p.text[0] == '/':
		return openat2(unix.AT_FDCWD, p.Ptr, flags, 0)
	}
	dir, e := t.openBase(p.dirfd)
	if e != 0 {
		return -1, e
	}
	fd, e := openat2(dir, &p.text[0], flags, 0)
	unix.Close(dir)
	return fd, e
}

// openBase opens the directory that paths relative to dirfd start from. The error is
// EBADF if the task has no such descriptor.
func (t *Task) openBase(dirfd int32) (int, unix.Errno) {
	var b [prefixRoom]byte
	if dirfd == unix.AT_FDCWD {
		_ = append(t.appendTID(b[:0]), "cwd\x00"...)
	} else {
		t.appendFD(b[:0], dirfd, 0)
	}
	fd, e := sys.Openat(unix.AT_FDCWD, &b[0], unix.O_PATH, 0)
	if e == unix.ENOENT && dirfd != unix.AT_FDCWD {
		e = unix.EBADF
	}
	return fd, e
}

// OpenFD opens the object that the task's descriptor fd refers to with O_PATH, and
// fills st. As in fchown(2), the error is EBADF if fd is not open, or was opened with
// O_PATH by the task.
func (t *Task) OpenFD(fd int32, st *unix.Stat_t) (int, unix.Errno) {
	if path, e := t.OpenedAsPath(fd); e != 0 || path {
		return -1, unix.EBADF
	}
	return t.Open(t.FD(fd), st)
}

// IsLink reports whether the final component of p is a symbolic link to be followed.
func (t *Task) IsLink(p Path) bool {
	if !p.Follow || p.text == nil {
		return false
	}
	var b [1]byte
	_, e := sys.Readlinkat(unix.AT_FDCWD, p.Ptr, b[:])
	return e == 0
}

// dirfdError returns EBADF if e is the ENOENT that a bad dirfd gives in /proc, else e.
func (t *Task) dirfdError(p Path, e unix.Errno) unix.Errno {
	if e != unix.ENOENT || p.dirfd == unix.AT_FDCWD || len(p.text) > 0 && p.text[0] == '/' {
		return e
	}
	if _, bad := t.OpenedAsPath(p.dirfd); bad != 0 {
		return bad
	}
	return e
}

// openat2 opens path relative to dirfd without following magic links, which give ELOOP.
// Resolve has further RESOLVE_* flags of openat2(2).
func openat2(dirfd int, path *byte, flags int, resolve uint64) (int, unix.Errno) {
	how := unix.OpenHow{Flags: uint64(flags), Resolve: resolve | unix.RESOLVE_NO_MAGICLINKS}
	return sys.Openat2(dirfd, path, &how)
}
