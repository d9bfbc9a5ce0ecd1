package owner

import (
	"bytes"
	"os"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
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

// report tells of a value of the descriptor fd that cannot be parsed.
func (s *Store) report(fd int, value []byte) {
	s.malformed.Add(1)
	if s.Report == nil {
		return
	}
	file, err := os.Readlink("self/fd/" + strconv.Itoa(fd)) // in the supervisor's /proc
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

// Peek tells whether an owner is recorded for the object at path, at the cost of
// one system call as a rule. It is a hint: the object may be another one by now.
func (s *Store) Peek(path *byte, follow bool) Presence {
	var value [maxValue]byte
	_, e := getxattr(path, follow, &value)
	none := None
	switch e {
	case 0, unix.ERANGE:
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
		if statx(unix.AT_FDCWD, path, flags, unix.STATX_TYPE, &st) != 0 || hasXattrs(uint32(st.Mode)) {
			return None
		}
	}
	var k key
	if k.make(unix.AT_FDCWD, path, flags) != 0 {
		return none
	}
	if _, ok := s.side.get(&k); ok {
		return Found
	}
	return none
}

// Get returns the recorded owner of the object that the descriptor fd refers to.
// Mode is its st_mode. Components may be Noop.
func (s *Store) Get(fd int, mode uint32) (ID, bool) {
	if hasXattrs(mode) {
		var value [maxValue]byte
		n, e := fgetxattr(fd, &value)
		if e == 0 {
			id, err := Parse(value[:n])
			if err != nil {
				s.report(fd, bytes.Clone(value[:n])) // the clone: value stays on the stack
				return ID{}, false
			}
			return id, true
		}
		if e == unix.ERANGE {
			s.report(fd, nil)
		}
		if e != unix.EOPNOTSUPP {
			return ID{}, false
		}
	}
	if !s.side.inUse() {
		return ID{}, false
	}
	var k key
	if k.make(fd, &empty[0], unix.AT_EMPTY_PATH) != 0 {
		return ID{}, false
	}
	return s.side.get(&k)
}

// Set records id as the owner of the object that the descriptor fd refers to, of
// st_mode mode and of the mapped id in the kernel.
func (s *Store) Set(fd int, mode uint32, id ID) unix.Errno {
	if hasXattrs(mode) {
		var e unix.Errno
		if id == s.Mapped {
			if e = fremovexattr(fd); e == unix.ENODATA {
				e = 0
			}
		} else {
			var value [maxValue]byte
			e = fsetxattr(fd, id.Append(value[:0]))
		}
		if e != unix.EOPNOTSUPP {
			return e
		}
	}
	var k key
	if id == s.Mapped {
		if !s.side.inUse() {
			return 0
		}
		if e := k.make(fd, &empty[0], unix.AT_EMPTY_PATH); e != 0 {
			return e
		}
		return s.side.remove(&k)
	}
	if s.side == nil {
		return unix.EROFS
	}
	if e := k.make(fd, &empty[0], unix.AT_EMPTY_PATH); e != 0 {
		return e
	}
	return s.side.set(&k, id)
}

// hasXattrs tells whether a file of this mode can have user.* attributes.
//
// xattr(7): "Extended user attributes may be assigned to files and directories
// [...] are disallowed for symbolic links and special files."
func hasXattrs(mode uint32) bool {
	t := mode & unix.S_IFMT
	return t == unix.S_IFREG || t == unix.S_IFDIR
}
