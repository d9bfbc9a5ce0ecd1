package owner

import (
	"bytes"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Store reads and writes the records of files in one container.
//
// Paths are NUL-terminated and resolved with the root and working directory of the
// calling thread. The working directory must be /proc: see sys.FDPath. All methods may be
// called by several threads at the same time; the package comment says which need Lock.
type Store struct {
	// Mapped is the mapped id as seen in the container: the owner that the kernel shows
	// for every file without a record. It is constant.
	Mapped ID

	// Report, if not nil, is called with each value that is not a valid record, and with
	// the path of its file as the supervisor sees it. Such a value stays in place and
	// counts as absent. Report may be called by several threads at the same time, also
	// while they hold locks of inodes. Set it before the first use of the Store.
	Report func(file string, value []byte)

	// ReportPassing, if not nil, is called once for each file system whose inodes have no identity
	// that lasts, with the path of a file on it that has been recorded in the sidecar, as the
	// supervisor sees it. It may be called by several threads at the same time, also while they
	// hold locks of inodes. Set it before the first use of the Store.
	ReportPassing func(file string)

	// Refused, if not nil, is called when RefusalsInUse has become true by an inode of the container,
	// before its record is made. It may be called by several threads at the same time, also while they
	// hold locks of inodes. Set it before the first use of the Store.
	Refused func()

	// Host, if not nil, holds the owners that SetHost records. Set it before the first use of
	// the Store.
	Host *HostOwners

	// Temporary, if not nil, holds the owners and devices that the container records: they end
	// with it. Stored records are read, and stay as they are. Set it before the first use of the
	// Store.
	Temporary *Temporary

	hostMu    sync.Mutex             // protects changes of Host; a leaf
	sidecar   *Sidecar               // nil if there is none
	hints     *hints                 // the sidecar's, or the Store's own if there is none
	noted     [hintCount]atomic.Bool // see noteLasting
	malformed atomic.Uint64
	setID     atomic.Bool // see SetIDInUse
	keeping   keeping
	passing   passing
	locks     inodeLocks
	removals  removals // see Forget
}

// NewStore returns a Store for a container with this mapped id. If sidecar is nil, inodes
// that cannot carry the extended attribute keep the mapped id as their owner: setting
// another one fails with EROFS.
func NewStore(mapped ID, sidecar *Sidecar) *Store {
	s := &Store{Mapped: mapped, sidecar: sidecar}
	if sidecar != nil {
		s.hints = &sidecar.hints
	} else {
		own := newHints(true)
		s.hints = &own
	}
	s.locks.released.L = &s.locks.mu
	return s
}

// Malformed returns how many times a value that is not a valid record has been read.
func (s *Store) Malformed() uint64 { return s.malformed.Load() }

// SidecarInUse reports whether there may be records in the sidecar.
func (s *Store) SidecarInUse() bool { return s.sidecar.inUse() }

// keyed reports whether there may be records that are found by the key of an inode.
func (s *Store) keyed() bool { return s.sidecar.inUse() || s.Host.inUse() }

// RefusalsInUse reports whether there may be records in the sidecar of regular files and directories
// without the attribute, and without an error that says so: see refuses. It is false until a file
// system has refused the attribute to a container of this user.
func (s *Store) RefusalsInUse() bool { return s.hints.mayHave(hintRefused) }

// DevicesInUse reports whether there may be placeholders of devices. It is false until one
// has been made, or seen, by a container of this user. The records of those that earlier
// versions have made are all in the sidecar.
func (s *Store) DevicesInUse() bool {
	return s.hints.mayHave(hintDevices) || s.sidecar.inUse() || s.Temporary != nil && s.Temporary.header.devices.Load() != 0
}

// noteDevice makes DevicesInUse true if r is that of a placeholder.
func (s *Store) noteDevice(r *Record) {
	if r.Type != 0 {
		s.noteLasting(hintDevices)
	}
}

// SeeDevice makes DevicesInUse true if path leads to the placeholder of a device. It does not
// follow a symbolic link in the final component.
func (s *Store) SeeDevice(path *byte) {
	var buf [smallValue]byte
	var r Record
	if n, e := sys.Getxattr(path, false, capabilityName, buf[:]); e == 0 && r.parseCapability(buf[:n]) {
		s.noteDevice(&r)
	} else if n, e := sys.Getxattr(path, false, attributeName, buf[:]); e == 0 {
		if r, err := Parse(buf[:n]); err == nil {
			s.noteDevice(&r)
		}
	}
}

// SecurityInUse reports whether files may have security.* attributes that the container has
// set. It is false until NoteSecurity has been called for a container of this user. Programs
// such as ls(1) read security.selinux of every file, which must cost nothing.
func (s *Store) SecurityInUse() bool { return s.hints.mayHave(hintSecurity) }

// NoteSecurity makes SecurityInUse true.
func (s *Store) NoteSecurity() { s.noteLasting(hintSecurity) }

// SetIDInUse reports whether this Store has seen a record with SetID.
func (s *Store) SetIDInUse() bool { return s.setID.Load() }

// noteSetID makes SetIDInUse true if r has SetID.
func (s *Store) noteSetID(r *Record) {
	if r.SetID != 0 && !s.setID.Load() {
		s.setID.Store(true)
	}
}

// report counts and reports a malformed value of the object that fd refers to.
func (s *Store) report(fd int, value []byte) {
	s.malformed.Add(1)
	if s.Report == nil {
		return
	}
	s.Report(fileOf(fd), value)
}

// fileOf returns the path of the object that fd refers to, as the supervisor sees it.
func fileOf(fd int) string {
	file, err := os.Readlink(string(sys.AppendFD(nil, fd))) // in the supervisor's /proc
	if err != nil {
		return "unknown"
	}
	return file
}

// Get returns the recorded owner of the object that the descriptor fd, which may be an
// O_PATH one, refers to. Mode is its st_mode. Each component may be Noop. Ok is false if
// there is no valid record, or if reading it fails.
func (s *Store) Get(fd int, mode uint32) (id ID, ok bool) {
	var small [smallValue]byte
	r, ok, _ := s.read(&object{fd: fd}, mode, small[:])
	return r.ID, ok
}

// Record fills r with the record of the object that the descriptor fd, which may be an
// O_PATH one, refers to. Mode is its st_mode. Without a valid record, ok is false and r
// has the owner Unchanged and nothing else. SetID is 0 if mode makes it void. The ACLs in r
// are valid until the next call of Record with the same r.
func (s *Store) Record(fd int, mode uint32, r *Record) (ok bool) {
	if r.buf == nil {
		r.buf = make([]byte, smallValue)
	}
	buf := r.buf
	*r, ok, buf = s.read(&object{fd: fd}, mode, buf)
	r.buf = buf
	return ok
}

// read is Record with a buffer for the value of the attribute. It returns the buffer that
// the ACLs point into: buf, or a larger one.
func (s *Store) read(o *object, mode uint32, buf []byte) (Record, bool, []byte) {
	r, ok, buf := s.readStored(o, mode, buf)
	if !hasUserXattrs(mode) && s.Host.inUse() {
		var k key
		if k.fill(o.fd, sys.Empty, unix.AT_EMPTY_PATH) == 0 && s.Host.get(&k, &r) {
			ok = true
		}
	}
	if s.Temporary != nil {
		ok = s.Temporary.overlay(o.fd, &r, ok, s.Mapped)
	}
	return r, ok, buf
}

// readStored is read without the owners in Host and Temporary.
func (s *Store) readStored(o *object, mode uint32, buf []byte) (Record, bool, []byte) {
	r := Record{ID: Unchanged}
	if hasUserXattrs(mode) {
		value, e := readValue(o, attributeName, buf)
		if e == 0 {
			parsed, err := Parse(value)
			if err != nil || !parsed.validFor(mode) {
				s.report(o.fd, bytes.Clone(value)) // clone: the value may be on the stack
				return r, false, buf
			}
			parsed.dropVoid(mode)
			s.noteSetID(&parsed)
			return parsed, true, value[:cap(value)]
		}
		if e != unix.EOPNOTSUPP && !s.hints.mayHave(hintRefused) {
			return r, false, buf
		}
	} else if n, e := o.getxattr(capabilityName, buf[:capabilitySize3]); e == 0 && r.parseCapability(buf[:n]) {
		if !r.validFor(mode) {
			s.report(o.fd, bytes.Clone(buf[:n]))
			return Record{ID: Unchanged}, false, buf
		}
		s.noteDevice(&r)
		if r.attributes && mode&unix.S_IFMT != unix.S_IFLNK {
			if value := s.readACLs(o, buf); value != nil {
				full, _ := Parse(value)
				full.ID, full.Type, full.Rdev, full.attributes = r.ID, r.Type, r.Rdev, true
				return full, true, value[:cap(value)]
			}
		}
		return r, true, buf
	}
	if !s.sidecar.inUse() {
		return r, false, buf
	}
	var k key
	if k.fillIf(o.fd, sys.Empty, unix.AT_EMPTY_PATH, s.hints) != 0 {
		return r, false, buf
	}
	ok := s.sidecar.get(&k, &r)
	if ok && !r.validFor(mode) {
		s.report(o.fd, r.appendEntry(nil))
		return Record{ID: Unchanged}, false, buf
	}
	return r, ok, buf
}

// readValue reads an attribute of o into buf, or into a new buffer if buf is too small.
func readValue(o *object, name *byte, buf []byte) ([]byte, unix.Errno) {
	n, e := o.getxattr(name, buf)
	if e == unix.ERANGE {
		buf = make([]byte, maxXattr)
		n, e = o.getxattr(name, buf)
	}
	if e != 0 {
		return nil, e
	}
	return buf[:n], 0
}

// maxXattr is the kernel's XATTR_SIZE_MAX. xattr(7): "the VFS-imposed limits on
// attribute names and values are 255 bytes and 64 kB, respectively."
const maxXattr = 64 << 10

// Set records id as the owner of the object that the descriptor fd, which may be an O_PATH
// one, refers to, and keeps the rest of its record. Dev is the object's st_dev, or 0 if that is
// not known, and mode its st_mode. Set assumes that the kernel shows the mapped id as the owner, and removes a record that says
// no more than that. The caller holds Lock on the inode.
//
// The errors are those of setxattr(2), and those of SetRecord.
func (s *Store) Set(fd int, dev uint64, mode uint32, id ID) unix.Errno {
	var small [smallValue]byte
	o := object{fd: fd, dev: dev}
	r := Record{ID: id}
	if hasUserXattrs(mode) && s.Temporary == nil {
		// Most files have no record yet, and need a single system call.
		if id == s.Mapped {
			if _, e := o.getxattr(attributeName, nil); e == unix.ENODATA && !s.hints.mayHave(hintRefused) {
				return 0
			}
		} else if e := s.setAttribute(&o, r.Append(small[:0]), unix.XATTR_CREATE); e != unix.EEXIST && !o.refuses(e) {
			return e
		}
	}
	r, _, _ = s.read(&o, mode, small[:])
	r.ID = id
	return s.set(&o, mode, &r)
}

// SetRecord makes r the record of the object that the descriptor fd, which may be an
// O_PATH one, refers to. Dev is the object's st_dev, or 0 if that is not known, and mode its
// st_mode. SetRecord assumes that the kernel shows the mapped id as the owner, and stores
// nothing if r says no more than that. The caller holds Lock on the inode if r is based on the
// previous record.
//
// The errors are those of setxattr(2) and symlinkat(2), EOPNOTSUPP if r has ACLs or SetID but
// the file system has no attributes, and EROFS if it needs a sidecar and there is none.
func (s *Store) SetRecord(fd int, dev uint64, mode uint32, r *Record) unix.Errno {
	return s.set(&object{fd: fd, dev: dev}, mode, r)
}

// SetNew is SetRecord for an inode that has just been created. If another task has recorded its
// owner meanwhile, that one stays, and r gets it.
func (s *Store) SetNew(fd int, dev uint64, mode uint32, r *Record) unix.Errno {
	o := object{fd: fd, dev: dev}
	if hasUserXattrs(mode) && s.Temporary == nil && !s.redundant(r) {
		var small [smallValue]byte
		if e := s.setAttribute(&o, r.Append(small[:0]), unix.XATTR_CREATE); e != unix.EEXIST && !o.refuses(e) {
			return e
		}
	}
	if id, ok := s.Get(fd, mode); ok {
		r.ID = id
	}
	return s.set(&o, mode, r)
}

// redundant reports whether r says no more than the kernel, which shows the mapped id.
func (s *Store) redundant(r *Record) bool {
	return r.ownerOnly() && (r.ID == s.Mapped || r.ID == Unchanged)
}

// set is SetRecord.
func (s *Store) set(o *object, mode uint32, r *Record) unix.Errno {
	if s.Temporary != nil {
		return s.setTemporary(o, mode, r)
	}
	return s.setStored(o, mode, r)
}

// setStored is set for a record that stays with the inode.
func (s *Store) setStored(o *object, mode uint32, r *Record) unix.Errno {
	redundant := s.redundant(r)
	if hasUserXattrs(mode) {
		var e unix.Errno
		if redundant {
			if e = o.removexattr(attributeName); e == unix.ENODATA {
				e = 0
			}
		} else {
			s.noteSetID(r)
			e = s.writeAttribute(o, r)
		}
		if e == 0 && redundant && s.hints.mayHave(hintRefused) {
			return s.removeEntry(o) // of the time before the file system took the attribute
		}
		if !o.refuses(e) {
			return e
		}
		if !redundant && e != 0 {
			s.noteRefusal(o)
		}
	}
	s.noteDevice(r)
	if r.SetID != 0 {
		return unix.EOPNOTSUPP
	}
	if redundant {
		// First the entry: it would count again as soon as the inode has no record.
		if e := s.removeEntry(o); e != 0 || hasUserXattrs(mode) {
			return e
		}
	}
	if !hasUserXattrs(mode) {
		r.attributes = r.attributes || r.hasACL()
		if r.hasACL() {
			if e := s.moveCapabilities(o); e != 0 {
				return e
			}
		}
		switch e := s.setCapability(o, r, redundant, 0); e {
		case 0:
			if r.attributes {
				if e := s.setACLs(o, r); e != 0 {
					return e
				}
			}
			_ = s.removeEntry(o) // the record in the inode comes first
			return 0
		case unix.EROFS, unix.ENOSPC, unix.EDQUOT:
			return e
		default: // the file system, or the user namespace, cannot
			if redundant {
				return 0
			}
		}
	}
	if s.sidecar == nil {
		return unix.EROFS
	}
	var k key
	if e := k.fill(o.fd, sys.Empty, unix.AT_EMPTY_PATH); e != 0 {
		return e
	}
	e := s.sidecar.set(&k, r)
	if e == 0 {
		s.keepPassing(o.fd, &k)
	}
	return e
}

// writeAttribute stores r in the attribute of o. An accelerated process may have recorded the owner
// since r was read: it creates the attribute, and holds no lock. If r has no owner, that one stays,
// and r gets it.
func (s *Store) writeAttribute(o *object, r *Record) unix.Errno {
	var value, old [smallValue]byte
	if r.ID == Unchanged {
		if e := s.setAttribute(o, r.Append(value[:0]), unix.XATTR_CREATE); e != unix.EEXIST {
			return e
		}
		if stored, e := readValue(o, attributeName, old[:]); e == 0 {
			if recorded, err := Parse(stored); err == nil {
				r.ID = recorded.ID
			}
		}
	}
	return s.setAttribute(o, r.Append(value[:0]), 0)
}

// removeEntry removes the sidecar's entry of o, if there is one.
func (s *Store) removeEntry(o *object) unix.Errno {
	if !s.sidecar.inUse() {
		return 0
	}
	var k key
	if e := k.fill(o.fd, sys.Empty, unix.AT_EMPTY_PATH); e != 0 {
		return e
	}
	return s.sidecar.remove(&k)
}

// SetInInode records id, as Set does, for an object whose record the kernel's chown(2) would
// remove, in the place of that call: if the supervisor died between the two, the record would
// be lost. Done is false if the kernel has to make the change.
//
// The errors are EROFS, ENOSPC and EDQUOT.
func (s *Store) SetInInode(fd int, dev uint64, mode uint32, id ID) (done bool, e unix.Errno) {
	if hasUserXattrs(mode) {
		return false, 0
	}
	var small [smallValue]byte
	o := object{fd: fd, dev: dev}
	r, recorded, _ := s.read(&o, mode, small[:])
	r.ID = id
	if !recorded && r.ownerOnly() && id == s.Mapped {
		return false, 0
	}
	if s.Temporary != nil {
		return true, s.setTemporary(&o, mode, &r)
	}
	switch e := s.setCapability(&o, &r, false, 0); e {
	case 0:
		// From now on this record counts, whatever fails. One that says no more than the kernel
		// is removed, but only after the entry, which would count instead.
		if e := s.removeEntry(&o); e == 0 && r.ownerOnly() && id == s.Mapped {
			_ = s.setCapability(&o, &r, true, 0)
		}
		return true, 0
	case unix.EROFS, unix.ENOSPC, unix.EDQUOT:
		return true, e
	}
	return false, 0
}

// hasUserXattrs reports whether an inode of st_mode mode can have user.* attributes, if its
// file system supports them.
//
// xattr(7): "Extended user attributes may be assigned to files and directories
// [...] are disallowed for symbolic links and special files."
func hasUserXattrs(mode uint32) bool {
	t := mode & unix.S_IFMT
	return t == unix.S_IFREG || t == unix.S_IFDIR
}
