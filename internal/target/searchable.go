package target

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Most paths lead through directories that everybody may search, and over no symbolic link.
// To find that out takes one system call for each, by the path so far; to open them one after
// the other takes four.

// skipSearchable asks the guard about the directories at the start of the path p, as long as everybody
// may search them. It returns the offsets in its text of the end of the last of them, and of
// the name that is to be looked up there; -1 and 0 if there is none.
func (t *Task) skipSearchable(p Path) (dir, name int) {
	if p.viaSelf || len(p.text) == 0 || len(p.text)+prefixRoom >= unix.PathMax { // so p.Ptr leads to text
		return -1, 0
	}
	dir, end := -1, 0
	if p.text[0] == '/' {
		end = 1
	}
	for {
		rest := bytes.TrimLeft(p.text[end:], "/")
		if len(rest) == 0 || !t.passable(p, end) {
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

// IsOpenToAll tells that everybody may get to what the path p names, if there is anything, and
// over no symbolic link. If not, or in doubt, Open finds out.
func (t *Task) IsOpenToAll(p Path) bool {
	dir, name := t.skipSearchable(p)
	if dir < 0 || bytes.IndexByte(p.text[name:], '/') >= 0 {
		return false
	}
	if !p.Follow {
		return true
	}
	e := sys.Lstat(p.Ptr, &t.at)
	return e == unix.ENOENT || e == 0 && t.at.Mode&unix.S_IFMT != unix.S_IFLNK
}

// passable tells whether the first bytes of the path p lead to a directory that everybody may
// search.
func (t *Task) passable(p Path, end int) bool {
	follows := p.text[end]
	p.text[end] = 0
	defer func() { p.text[end] = follows }()
	return sys.Lstat(p.Ptr, &t.at) == 0 && t.at.Mode&unix.S_IFMT == unix.S_IFDIR && t.Guard.Passable(p.Ptr, &t.at)
}

// openLast opens the path p of which only the name at the offset is to be looked up yet, and
// fills t.at. It returns -1 if it cannot, or if that is to be followed as a link.
func (t *Task) openLast(p Path, name int) int {
	if bytes.IndexByte(p.text[name:], '/') >= 0 {
		return -1
	}
	fd, e := sys.Openat(unix.AT_FDCWD, p.Ptr, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if e != 0 || fstatOrClose(fd, &t.at) != 0 {
		return -1
	}
	if p.Follow && t.at.Mode&unix.S_IFMT == unix.S_IFLNK {
		unix.Close(fd)
		return -1
	}
	return fd
}

// openDirectory opens the directory from which the path p is walked: the one that a leap has
// come to, at the end of its text, or if that is -1, where it starts.
func (t *Task) openDirectory(w *walk, p Path, end int) (int, unix.Errno) {
	switch {
	case end > 0:
		follows := p.text[end]
		p.text[end] = 0
		fd, e := sys.Openat(unix.AT_FDCWD, p.Ptr, unix.O_PATH|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
		p.text[end] = follows
		return fd, e
	case p.text[0] == '/':
		w.rooted = true
		return w.top()
	}
	return t.openStart(p.dirfd)
}
