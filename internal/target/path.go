package target

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Path is what a call names: by a path, a descriptor, or both.
type Path struct {
	Ptr    *byte // NUL-terminated, for calls by the receiving thread
	Follow bool  // a symbolic link at its end is to be followed

	text    []byte // as the task gave it
	dirfd   int32  // where text starts, if it is relative
	viaSelf bool   // text may lead through the task's own part of /proc
	parent  bool   // a name is to be looked up where it leads
}

// FD returns the path of the task's descriptor fd.
func (t *Task) FD(fd int32) Path {
	t.appendFD(t.path[:0], fd, 0)
	// The link in /proc leads right to the object, even if that is a symbolic
	// link, which is not followed in turn.
	return Path{Ptr: &t.path[0], Follow: true, dirfd: fd}
}

// Path returns the path at addr, relative to the task's descriptor dirfd. Flags
// are AT_EMPTY_PATH and AT_SYMLINK_NOFOLLOW. It is valid until the next call of
// Path, FD or Reset. Errors are EFAULT, ENAMETOOLONG, and ENOENT for an empty
// path without AT_EMPTY_PATH.
func (t *Task) Path(dirfd int32, addr uintptr, flags uint32) (Path, unix.Errno) {
	n := 0
	if addr != 0 || flags&unix.AT_EMPTY_PATH == 0 { // Linux 6.11 allows NULL for ""
		var e unix.Errno
		if n, e = t.ReadString(addr, t.path[prefixRoom:]); e != 0 {
			return Path{}, e
		}
	}
	if n == 0 {
		if flags&unix.AT_EMPTY_PATH == 0 {
			return Path{}, unix.ENOENT
		}
		return t.start(dirfd), 0
	}
	return t.relative(dirfd, n, flags&unix.AT_SYMLINK_NOFOLLOW == 0)
}

// start returns the path of the directory that relative paths start from.
func (t *Task) start(dirfd int32) Path {
	if dirfd != unix.AT_FDCWD {
		return t.FD(dirfd)
	}
	_ = append(t.appendTID(t.path[:0]), "cwd\x00"...)
	return Path{Ptr: &t.path[0], Follow: true, dirfd: dirfd}
}

// PathOf returns the path text, which is the supervisor's own, relative to the
// task's working directory. It is valid as long as that of Path.
func (t *Task) PathOf(text []byte) (Path, unix.Errno) {
	if len(text) >= unix.PathMax {
		return Path{}, unix.ENAMETOOLONG
	}
	n := copy(t.path[prefixRoom:], text)
	t.path[prefixRoom+n] = 0
	return t.relative(unix.AT_FDCWD, n, true)
}

// relative returns the path of n bytes in t.path[room:].
func (t *Task) relative(dirfd int32, n int, follow bool) (Path, unix.Errno) {
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
	// Write "TID/cwd/" or "TID/fd/N/" so that it ends where the path starts.
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

// namesSelf tells whether path has a component self or thread-self, or is one of
// the links to them that every /dev has.
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

// shorten makes a path that has become too long with its prefix, t.path[start:end],
// relative to a descriptor for its first half.
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
		return Path{}, unix.ENAMETOOLONG // a name of 2 KiB
	}
	t.path[slash] = 0
	fd, e := sys.Openat(unix.AT_FDCWD, &t.path[start], unix.O_PATH|unix.O_DIRECTORY, 0)
	t.path[slash] = '/'
	if e != 0 {
		return Path{}, t.dirfdError(p, e)
	}
	t.closeLong()
	t.long = fd
	b := append(append(sys.AppendFD(t.half[:0], fd), '/'), t.path[slash+1:end]...)
	_ = append(b, 0)
	p.Ptr = &t.half[0]
	return p, 0
}

// Descriptor returns the task's descriptor that p names, and nothing else.
func (p *Path) Descriptor() (fd int32, ok bool) {
	return p.dirfd, p.text == nil && p.dirfd != unix.AT_FDCWD
}

// ViaProcSelf tells whether the supervisor must not resolve the path in one go,
// because it may lead through /proc/self: there it would find itself.
func (p *Path) ViaProcSelf() bool { return p.viaSelf }

// Open opens the object named by p with O_PATH, and fills st.
//
// A path may lead through /proc/self or /proc/thread-self without saying so:
// "chown www-data /var/log/nginx/access.log", which links to /dev/stdout, which
// links to /proc/self/fd/1. The supervisor would find itself there or, in
// another PID namespace, nothing. So no magic link is followed, and a path that
// needs one, or that leads nowhere, is walked step by step. So is every path of a
// task that may not search all directories.
func (t *Task) Open(p Path, st *unix.Stat_t) (int, unix.Errno) {
	if p.viaSelf || p.text != nil && t.guarded() {
		return t.openWalked(p, 0, st)
	}
	if fd, e := t.openName(p, st); fd >= 0 {
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

// openName opens what a relative path of one name leads to, if that is no symbolic
// link to be followed. Else, or if it cannot be opened, fd is -1.
func (t *Task) openName(p Path, st *unix.Stat_t) (fd int, e unix.Errno) {
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

// open opens the object named by p, without following magic links in it.
func (t *Task) open(p Path) (int, unix.Errno) {
	flags := unix.O_PATH
	if !p.Follow {
		flags |= unix.O_NOFOLLOW
	}
	switch {
	case p.text == nil || !p.Follow && bytes.IndexByte(p.text, '/') < 0:
		return sys.Openat(unix.AT_FDCWD, p.Ptr, flags, 0) // there is no link in it
	case p.text[0] == '/':
		return openat2(unix.AT_FDCWD, p.Ptr, flags, 0)
	}
	dir, e := t.openStart(p.dirfd)
	if e != 0 {
		return -1, e
	}
	fd, e := openat2(dir, &p.text[0], flags, 0)
	unix.Close(dir)
	return fd, e
}

// openStart opens the directory that paths relative to dirfd start from. The error is EBADF if there is no such descriptor.
func (t *Task) openStart(dirfd int32) (int, unix.Errno) {
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

// OpenFD opens the object that the task's descriptor fd refers to with O_PATH,
// and fills st: EBADF if fd is not open or was opened with O_PATH itself.
func (t *Task) OpenFD(fd int32, st *unix.Stat_t) (int, unix.Errno) {
	if path, e := t.OpenedAsPath(fd); e != 0 || path {
		return -1, unix.EBADF
	}
	return t.Open(t.FD(fd), st)
}

// IsLink tells whether p names a symbolic link that is to be followed.
func (t *Task) IsLink(p Path) bool {
	if !p.Follow || p.text == nil {
		return false
	}
	var b [1]byte
	_, e := sys.Readlinkat(unix.AT_FDCWD, p.Ptr, b[:])
	return e == 0
}

// dirfdError turns the ENOENT that a bad descriptor gives in /proc into EBADF.
func (t *Task) dirfdError(p Path, e unix.Errno) unix.Errno {
	if e != unix.ENOENT || p.dirfd == unix.AT_FDCWD || len(p.text) > 0 && p.text[0] == '/' {
		return e
	}
	if _, bad := t.OpenedAsPath(p.dirfd); bad != 0 {
		return bad
	}
	return e
}

// openat2 opens a path that must not lead over magic links: ELOOP if it does.
// Resolve are further RESOLVE_* flags.
func openat2(dirfd int, path *byte, flags int, resolve uint64) (int, unix.Errno) {
	how := unix.OpenHow{Flags: uint64(flags), Resolve: resolve | unix.RESOLVE_NO_MAGICLINKS}
	return sys.Openat2(dirfd, path, &how)
}
