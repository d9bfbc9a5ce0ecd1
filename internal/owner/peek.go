package owner

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Presence is the result of Peek.
type Presence int

const (
	// None means that there is no record, or that the kernel's error is the right
	// answer: the kernel can execute the call.
	None Presence = iota
	// Found means that there is a record.
	Found
	// Missing means that the path does not exist.
	Missing
	// Unsupported is None on a file system that does not support user.* attributes.
	Unsupported
)

// Peek reports whether there is a record for the object at path. Follow says whether to
// follow a symbolic link in the final component; exact, whether to tell Unsupported from
// None. Peek usually takes one system call, and two if exact. Its result is a hint, as path
// may lead to another object a moment later.
func (s *Store) Peek(path *byte, follow, exact bool) Presence {
	if s.Temporary != nil {
		if p := s.Temporary.peek(path, follow, s.Mapped); p != None {
			return p
		}
	}
	if exact || s.keyed() {
		return s.peekByType(path, follow)
	}
	// One list of names is cheaper than to ask for the attributes of both kinds of inodes.
	var names [listSize]byte
	n, e := sys.Listxattr(path, follow, names[:])
	switch {
	case e == unix.ENOENT:
		return Missing
	case e == unix.ERANGE, // perhaps
		e == 0 && namesRecord(names[:n]):
		return Found
	}
	return None
}

// listSize is the size of buffers for names of attributes, in bytes: enough for most inodes.
const listSize = 256

// namesRecord reports whether a list of names of attributes has one that can hold a record.
func namesRecord(list []byte) bool {
	return bytes.Contains(list, attributeInList) || bytes.Contains(list, capabilityInList)
}

// peekByType is Peek, exact, and looks everywhere. The type of the inode says in which attribute
// its record would be, and whether it may be elsewhere.
func (s *Store) peekByType(path *byte, follow bool) Presence {
	flags := unix.AT_NO_AUTOMOUNT
	if !follow {
		flags |= unix.AT_SYMLINK_NOFOLLOW
	}
	var st unix.Statx_t
	switch sys.Statx(unix.AT_FDCWD, path, flags|unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE, &st) {
	case 0:
	case unix.ENOENT:
		return Missing
	default:
		return None
	}
	user, attribute := hasUserXattrs(uint32(st.Mode)), capabilityName
	if user {
		attribute = attributeName
	}
	none := None
	switch _, e := sys.Getxattr(path, follow, attribute, nil); {
	case e == 0:
		return Found
	case e == unix.ENOENT:
		return Missing
	case e == unix.EOPNOTSUPP && user:
		none = Unsupported
	case user && !s.hints.mayHave(hintRefused):
		return None
	}
	if !s.keyed() {
		return none
	}
	known := s.hints
	if s.Host.inUse() {
		known = nil
	}
	var k key
	if k.fillIf(unix.AT_FDCWD, path, flags, known) != 0 {
		return none
	}
	var r Record
	if s.Host.get(&k, &r) || s.sidecar.inUse() && s.sidecar.get(&k, &r) {
		return Found
	}
	return none
}

// PeekDirectory is Peek for a path that should lead to a directory. It follows symbolic
// links.
func (s *Store) PeekDirectory(path *byte) Presence {
	if s.Temporary != nil {
		return s.Peek(path, true, false)
	}
	// The record of most directories is in their attribute: do not ask the sidecar.
	if _, e := sys.Getxattr(path, true, attributeName, nil); e == unix.ENODATA && !s.hints.mayHave(hintRefused) {
		return None
	}
	return s.Peek(path, true, false)
}
