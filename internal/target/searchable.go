package target

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Most paths of a restricted caller lead through directories that every user may search,
// and through no symbolic link. To check one takes one or two system calls by its path;
// to walk through it takes four.

// skipSearchable finds the longest leading part of the path p that leads only through
// directories that every user may search. Dir is the offset in p.text of the end of that
// part, and name the offset of the component that follows it; -1 and 0 if not even the
// first directory is one.
func (t *Task) skipSearchable(p Path) (dir, name int) {
	if p.viaSelf || len(p.text) == 0 || len(p.text)+prefixRoom >= unix.PathMax { // else p.text is part of *p.Ptr
		return -1, 0
	}
	dir, end := -1, 0
	if p.text[0] == '/' {
		end = 1
	}
	for {
		rest := bytes.TrimLeft(p.text[end:], "/")
		if len(rest) == 0 || !t.searchableByAll(p, end) {
			return dir, name
		}
		dir, name = end, len(p.text)-len(rest)
		next := bytes.IndexByte(rest, '/')
		if next < 0 {
			return dir, name
		}
		end = name + next
	}
}

// IsOpenToAll reports whether every user may reach the object that p names, or learn that
// it does not exist, and p leads through no symbolic link. If it returns false, which is
// always safe, Open decides. Call it only if t.Guard.Restricted returns true.
func (t *Task) IsOpenToAll(p Path) bool {
	dir, name := t.skipSearchable(p)
	if dir < 0 || bytes.IndexByte(p.text[name:], '/') >= 0 {
		return false
	}
	if !p.Follow {
		return true
	}
	e := sys.Lstat(p.Ptr, &t.stat)
	return e == unix.ENOENT || e == 0 && t.stat.Mode&unix.S_IFMT != unix.S_IFLNK
}

// searchableByAll reports whether the first end bytes of the path p name a directory that
// every user may search.
func (t *Task) searchableByAll(p Path, end int) bool {
	next := p.text[end]
	p.text[end] = 0
	defer func() { p.text[end] = next }()
	return sys.Lstat(p.Ptr, &t.stat) == 0 && t.stat.Mode&unix.S_IFMT == unix.S_IFDIR && t.Guard.Passable(p.Ptr, &t.stat)
}

// openFinal opens the path p if the component at the offset name is its final one, and
// fills t.stat. It returns -1 if that fails, or if the object is a symbolic link to
// follow.
func (t *Task) openFinal(p Path, name int) int {
	if bytes.IndexByte(p.text[name:], '/') >= 0 {
		return -1
	}
	fd, e := sys.Openat(unix.AT_FDCWD, p.Ptr, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if e != 0 || fstatOrClose(fd, &t.stat) != 0 {
		return -1
	}
	if p.Follow && t.stat.Mode&unix.S_IFMT == unix.S_IFLNK {
		unix.Close(fd)
		return -1
	}
	return fd
}

// openWalkStart opens the directory from which the path p is walked: the one at the
// offset end that skipSearchable has found, or if end is 0 or -1, the path's start.
func (t *Task) openWalkStart(w *walk, p Path, end int) (int, unix.Errno) {
	switch {
	case end > 0:
		next := p.text[end]
		p.text[end] = 0
		fd, e := sys.Openat(unix.AT_FDCWD, p.Ptr, unix.O_PATH|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
		p.text[end] = next
		return fd, e
	case p.text[0] == '/':
		w.rootKnown = true
		return w.openRoot()
	}
	return t.openBase(p.dirfd)
}
