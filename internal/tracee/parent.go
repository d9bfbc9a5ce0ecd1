package tracee

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// Parent returns the directory in which a call makes what the path at addr
// names, relative to the task's descriptor dirfd, and the name there.
//
// Name is NUL-terminated, without the slashes that follow it; slash tells whether
// there are any. It is "." for the root directory. Both are valid until the next
// call of Parent, Path, FD or Reset. Errors are EFAULT, ENAMETOOLONG, and ENOENT
// for an empty path.
func (t *Tracee) Parent(dirfd int32, addr uintptr) (dir Path, name *byte, slash bool, e unix.Errno) {
	n, e := t.ReadString(addr, t.path[room:])
	if e != 0 {
		return Path{}, nil, false, e
	}
	if n == 0 {
		return Path{}, nil, false, unix.ENOENT
	}
	return t.split(dirfd, n)
}

// split is Parent for the path of n bytes in t.path[room:].
func (t *Tracee) split(dirfd int32, n int) (dir Path, name *byte, slash bool, e unix.Errno) {
	text := t.path[room : room+n]
	trimmed := bytes.TrimRight(text, "/")
	if len(trimmed) == 0 {
		return rootPath, &dot[0], true, 0
	}
	slash = len(trimmed) < n
	t.path[room+len(trimmed)] = 0
	cut := bytes.LastIndexByte(trimmed, '/')
	name = &trimmed[cut+1]
	if cut < 0 {
		return t.start(dirfd), name, slash, 0
	}
	head := bytes.TrimRight(trimmed[:cut], "/")
	if len(head) == 0 {
		return rootPath, name, slash, 0
	}
	t.path[room+len(head)] = 0 // in the place of a slash
	dir, e = t.relative(dirfd, len(head), true)
	return dir, name, slash, e
}

// rootPath is the path of the root directory.
var rootPath = Path{Ptr: &slash[0], Follow: true, text: slash[:1], dirfd: unix.AT_FDCWD}
