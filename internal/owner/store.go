package owner

import (
	"bytes"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Store reads and writes the owners of files in one container.
//
// Paths are NUL-terminated, and resolved as the calling thread sees the file
// tree. A Store may be used by several threads.
type Store struct {
	// Mapped is the one id that the container's user namespace maps, as seen
	// inside: the owner that the kernel shows for files nobody has changed.
	Mapped ID

	// Report, if set, is told of values that cannot be parsed, by the path of the
	// file as the supervisor sees it. Such a value is left in place and counts as
	// absent.
	Report func(file string, value []byte)

	side      *Sidecar
	malformed atomic.Uint64
	locks     inodeLocks
}

// NewStore returns a Store. Side may be nil: then owners of files that cannot
// have the extended attribute cannot be recorded, and changing them gives EROFS.
func NewStore(mapped ID, side *Sidecar) *Store {
	s := &Store{Mapped: mapped, side: side}
	s.locks.released.L = &s.locks.mu
	return s
}

// Malformed returns how many values were found that cannot be parsed.
func (s *Store) Malformed() uint64 { return s.malformed.Load() }

// SidecarInUse tells whether anything is recorded but in attributes of files.
func (s *Store) SidecarInUse() bool { return s.side.inUse() }

// report tells of a value of the descriptor fd that cannot be parsed.
func (s *Store) report(fd int, value []byte) {
	s.malformed.Add(1)
	if s.Report == nil {
		return
	}
	file, err := os.Readlink(string(sys.AppendFD(nil, fd))) // in the supervisor's /proc
	if err != nil {
		file = "unknown"
	}
	s.Report(file, value)
}

// Presence is the answer of Peek.
type Presence int

const (
	None        Presence = iota // nothing is recorded: the kernel's answer is right
	Found                       // something is recorded
	Missing                     // the path leads nowhere
	Unsupported                 // None, and the file system has no such attributes
)

// Peek tells whether anything is recorded for the object at path, at the cost of
// one system call as a rule. It is a hint: the object may be another one by now.
func (s *Store) Peek(path *byte, follow bool) Presence {
	_, e := sys.Getxattr(path, follow, attributeName, nil)
	none := None
	switch e {
	case 0:
		return Found
	case unix.ENODATA, unix.EOPNOTSUPP:
		if e == unix.EOPNOTSUPP {
			none = Unsupported
		}
		if !s.side.inUse() {
			return none
		}
	case unix.ENOENT:
		return Missing
	default:
		return None
	}
	flags := 0
	if !follow {
		flags = unix.AT_SYMLINK_NOFOLLOW
	}
	if e == unix.ENODATA {
		var st unix.Statx_t
		if sys.Statx(unix.AT_FDCWD, path, flags, unix.STATX_TYPE, &st) != 0 || hasXattrs(uint32(st.Mode)) {
			return None
		}
	}
	var k key
	if k.make(unix.AT_FDCWD, path, flags) != 0 {
		return none
	}
	var r Record
	if s.side.get(&k, &r) {
		return Found
	}
	return none
}

// PeekDirectory is Peek for a directory, or where path is to lead to one.
func (s *Store) PeekDirectory(path *byte) Presence {
	// A directory can have the attribute: without it, nothing is recorded elsewhere.
	if _, e := sys.Getxattr(path, true, attributeName, nil); e == unix.ENODATA {
		return None
	}
	return s.Peek(path, true)
}

// Get returns the recorded owner of the object that the descriptor fd refers to.
// Mode is its st_mode. Components may be Noop.
func (s *Store) Get(fd int, mode uint32) (ID, bool) {
	var small [smallValue]byte
	r, ok, _ := s.read(&object{fd: fd}, mode, small[:])
	return r.ID, ok
}

// Record fills r with what is recorded for the object that the descriptor fd
// refers to, of st_mode mode. If that is nothing, r is the Unchanged owner.
// The ACLs are valid until r is filled again.
func (s *Store) Record(fd int, mode uint32, r *Record) (ok bool) {
	if r.buf == nil {
		r.buf = make([]byte, smallValue)
	}
	buf := r.buf
	*r, ok, buf = s.read(&object{fd: fd}, mode, buf)
	r.buf = buf
	return ok
}

// read is Record, with a buffer for the value of the attribute. It returns the
// buffer that the ACLs are part of, a larger one if needed.
func (s *Store) read(o *object, mode uint32, buf []byte) (Record, bool, []byte) {
	r := Record{ID: Unchanged}
	if hasXattrs(mode) {
		value, e := readValue(o, buf)
		if e == 0 {
			parsed, err := Parse(value)
			if err != nil || !parsed.fits(mode) {
				s.report(o.fd, bytes.Clone(value)) // the clone: value may be on the stack
				return r, false, buf
			}
			return parsed, true, value[:cap(value)]
		}
		if e != unix.EOPNOTSUPP {
			return r, false, buf
		}
	}
	if !s.side.inUse() {
		return r, false, buf
	}
	var k key
	if k.make(o.fd, sys.Empty, unix.AT_EMPTY_PATH) != 0 {
		return r, false, buf
	}
	ok := s.side.get(&k, &r)
	if ok && !r.fits(mode) {
		s.report(o.fd, r.appendEntry(nil))
		return Record{ID: Unchanged}, false, buf
	}
	return r, ok, buf
}

// readValue returns the attribute of o, in buf or in a larger buffer.
func readValue(o *object, buf []byte) ([]byte, unix.Errno) {
	n, e := o.getxattr(buf)
	if e == unix.ERANGE {
		buf = make([]byte, maxXattr)
		n, e = o.getxattr(buf)
	}
	if e != 0 {
		return nil, e
	}
	return buf[:n], 0
}

// maxXattr is the kernel's XATTR_SIZE_MAX. xattr(7): "the VFS-imposed limits on
// attribute names and values are 255 bytes and 64 kB, respectively."
const maxXattr = 64 << 10

// Set records id as the owner of the object that the descriptor fd refers to, of
// st_mode mode and of the mapped id in the kernel. What else is recorded stays.
func (s *Store) Set(fd int, mode uint32, id ID) unix.Errno {
	var small [smallValue]byte
	o := object{fd: fd}
	r := Record{ID: id}
	if hasXattrs(mode) {
		// Most files have no record yet: then one call is enough.
		if id == s.Mapped {
			if _, e := o.getxattr(nil); e == unix.ENODATA {
				return 0
			}
		} else if e := o.setxattr(r.Append(small[:0]), unix.XATTR_CREATE); e != unix.EEXIST && e != unix.EOPNOTSUPP {
			return e
		}
	}
	if hasXattrs(mode) || standsIn(mode) { // so it may have more than an owner
		r, _, _ = s.read(&o, mode, small[:])
		r.ID = id
	}
	return s.set(&o, mode, &r)
}

// SetRecord records r for the object that the descriptor fd refers to, of st_mode
// mode and of the mapped id in the kernel. The error is EOPNOTSUPP for ACLs where
// there are no user.* attributes, and EROFS where there is nothing to record in.
func (s *Store) SetRecord(fd int, mode uint32, r *Record) unix.Errno {
	return s.set(&object{fd: fd}, mode, r)
}

func (s *Store) set(o *object, mode uint32, r *Record) unix.Errno {
	nothing := r.ownerOnly() && (r.ID == s.Mapped || r.ID == Unchanged)
	if hasXattrs(mode) {
		var e unix.Errno
		if nothing {
			if e = o.removexattr(); e == unix.ENODATA {
				e = 0
			}
		} else {
			var small [smallValue]byte
			e = o.setxattr(r.Append(small[:0]), 0)
		}
		if e != unix.EOPNOTSUPP {
			return e
		}
	}
	if nothing && !s.side.inUse() {
		return 0
	}
	if s.side == nil {
		return unix.EROFS
	}
	var k key
	if e := k.make(o.fd, sys.Empty, unix.AT_EMPTY_PATH); e != 0 {
		return e
	}
	if nothing {
		return s.side.remove(&k)
	}
	return s.side.set(&k, r)
}

// hasXattrs tells whether a file of this mode can have user.* attributes.
//
// xattr(7): "Extended user attributes may be assigned to files and directories
// [...] are disallowed for symbolic links and special files."
func hasXattrs(mode uint32) bool {
	t := mode & unix.S_IFMT
	return t == unix.S_IFREG || t == unix.S_IFDIR
}
