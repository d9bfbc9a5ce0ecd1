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
// None. Peek usually takes one system call, and one more if exact. Its result is a hint, as
// path may lead to another object a moment later.
func (s *Store) Peek(path *byte, follow, exact bool) Presence {
	if s.Temporary != nil {
		if p := s.Temporary.peek(path, follow, s.Mapped); p != None {
			return p
		}
	}
	// One list of names is cheaper than to ask for the attributes of both kinds of inodes.
	var names [listSize]byte
	n, e := sys.Listxattr(path, follow, names[:])
	switch e {
	case 0:
		if namesRecord(names[:n]) {
			return Found
		}
	case unix.ERANGE:
		return Found // perhaps
	case unix.ENOENT:
		return Missing
	case unix.EOPNOTSUPP:
	default:
		if !s.hints.mayHave(hintRefused) {
			return None
		}
	}
	if !exact && !s.keyed() {
		return None
	}
	_, e = sys.Getxattr(path, follow, attributeName, nil)
	none := None
	switch e {
	case 0:
		return Found
	case unix.ENODATA:
	case unix.EOPNOTSUPP:
		none = Unsupported
	case unix.ENOENT:
		return Missing
	default:
		if !s.hints.mayHave(hintRefused) {
			return None
		}
	}
	if !s.keyed() {
		return none
	}
	return s.peekKeyed(path, follow, none)
}

// listSize is the size of buffers for names of attributes, in bytes: enough for most inodes.
const listSize = 256

// namesRecord reports whether a list of names of attributes has one that can hold a record.
func namesRecord(list []byte) bool {
	return bytes.Contains(list, attributeInList) || bytes.Contains(list, capabilityInList)
}

// peekKeyed is Peek for an object that has no attribute with a record. None is the result if
// there is no record elsewhere either.
func (s *Store) peekKeyed(path *byte, follow bool, none Presence) Presence {
	flags := 0
	if !follow {
		flags = unix.AT_SYMLINK_NOFOLLOW
	}
	if none == None && !s.hints.mayHave(hintRefused) {
		var st unix.Statx_t
		if sys.Statx(unix.AT_FDCWD, path, flags, unix.STATX_TYPE, &st) != 0 || hasUserXattrs(uint32(st.Mode)) {
			return None
		}
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
