package owner

import (
	"bytes"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Special files and symbolic links can have trusted.* and security.* attributes, and special
// files can have ACLs. The kernel lets a user namespace set none of those that need room: it
// allows user.* attributes on regular files and directories only. So such an inode has a
// companion in the sidecar, its attribute file: an empty regular file whose user.*
// attributes are what those of the inode would be if it were a regular file. Its name is the
// key of the inode with attributeFileSuffix. The record in the inode says that there is one,
// so that inodes without it cost no look-up.

const attributeFileSuffix = ".xattr"

// AttributePath is a buffer for the path that Attributes returns.
type AttributePath [len(sys.FDPath{}) + 1 + len(key{}.name)]byte

// Attributes returns the path of the file whose user.* attributes, with names that begin with
// Xattr and a dot, belong to the object that the descriptor fd, which may be an O_PATH one,
// refers to. For a regular file or directory it is the object itself, for others the
// attribute file. If create is true, it is created if needed, and the caller holds Lock on
// the inode. Mode is the object's st_mode. The path, in p, is relative to /proc.
//
// The errors are ENODATA if there is no attribute file, and those of setxattr(2) and open(2).
// They include EOPNOTSUPP if the file system has no attributes, EPERM if the inode belongs
// to another user of the host, and EROFS if there is no sidecar.
func (s *Store) Attributes(fd int, mode uint32, create bool, p *AttributePath) (*byte, unix.Errno) {
	if hasUserXattrs(mode) {
		_ = append(sys.AppendFD(p[:0], fd), 0)
		return &p[0], 0
	}
	var small [smallValue]byte
	o := object{fd: fd}
	r, _, _ := s.read(&o, mode, small[:])
	switch {
	case create:
		if e := s.moveCapabilities(&o); e != 0 {
			return nil, e
		}
		// Written even if it says so already, because real attributes would change the ctime,
		// too. First of all, because overlayfs makes another inode of it.
		r.attributes = true
		if e := s.setCapability(&o, &r, false, 0); e != 0 {
			return nil, e
		}
	case !r.attributes:
		if _, e := o.getxattr(absentName, nil); e != 0 {
			return nil, e
		}
		return nil, unix.ENODATA
	}
	return s.attributeFile(&o, create, p)
}

// absentName is the name of an attribute that no inode has, and that every inode could have.
var absentName = &[]byte("security.rootlesscontainers\x00")[0]

// attributeFile returns the path of the attribute file of o, which must exist if create is
// false.
func (s *Store) attributeFile(o *object, create bool, p *AttributePath) (*byte, unix.Errno) {
	if s.sidecar == nil {
		return nil, unix.EROFS
	}
	var k key
	if e := k.fill(o.fd, sys.Empty, unix.AT_EMPTY_PATH); e != 0 {
		return nil, e
	}
	name := k.attributeFileName()
	dir := s.sidecar.dirOf(&k)
	s.sidecar.adoptAttributeFile(&k)
	if create {
		s.sidecar.noteAttributeFile(&k)
		defer s.sidecar.noteAttributeFile(&k) // see Settle
		file, e := sys.Openat(dir, &name[0], unix.O_WRONLY|unix.O_CREAT|unix.O_NOFOLLOW, 0o600)
		if e != 0 {
			return nil, e
		}
		unix.Close(file)
	}
	b := append(sys.AppendFD(p[:0], dir), '/')
	_ = append(b, name[:bytes.IndexByte(name[:], 0)+1]...)
	return &p[0], 0
}

// noteAttributeFile makes it known that the inode of k may have an attribute file.
func (s *Sidecar) noteAttributeFile(k *key) {
	s.hints.noteInode(k.numbers[1])
	s.hints.note(hintFiles)
}

// adoptAttributeFile gives the inode of k, if it has no attribute file, a copy of the one that it had
// when its disk had another device number. The original stays: it may belong to the same inode of a
// disk from which this one was cloned. If there is none, or if copying fails, nothing changes.
func (s *Sidecar) adoptAttributeFile(k *key) {
	name := k.attributeFileName()
	var st unix.Statx_t
	if k.volatile || k.isWeak() || sys.Statx(s.dir, &name[0], unix.AT_SYMLINK_NOFOLLOW, 0, &st) != unix.ENOENT {
		return
	}
	want := k.exported()
	entries, err := listEntries(s.dir, false, func(has *Key) bool {
		want.Device = has.Device
		return *has == want
	})
	if err != nil {
		return
	}
	var newest *Entry
	for i := range entries {
		if e := &entries[i]; e.Attributes && (newest == nil || e.Modified.After(newest.Modified)) {
			newest = e
		}
	}
	if newest == nil {
		return
	}
	s.noteAttributeFile(k)
	defer s.noteAttributeFile(k)                                          // see Settle
	_ = s.copyAttributeFile(newest.Name, unix.ByteSliceToString(name[:])) // EEXIST: another container has
}

// copyAttributeFile copies an attribute file, unless there is one of the new name. The copy has a name
// when it is complete, for which the file system of the sidecar has to support O_TMPFILE.
func (s *Sidecar) copyAttributeFile(from, to string) error {
	source, err := unix.Openat(s.dir, from, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(source)
	file, err := unix.Openat(s.dir, ".", unix.O_WRONLY|unix.O_TMPFILE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(file)
	list, value := make([]byte, maxXattr), make([]byte, maxXattr)
	n, err := unix.Flistxattr(source, list)
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(string(list[:n]), "\x00") {
		if !strings.HasPrefix(name, Xattr) {
			continue // a security module's
		}
		size, err := unix.Fgetxattr(source, name, value)
		if err != nil {
			return err
		}
		if err := unix.Fsetxattr(file, name, value[:size], 0); err != nil {
			return err
		}
	}
	return unix.Linkat(unix.AT_FDCWD, string(sys.AppendFD(nil, file)), s.dir, to, unix.AT_SYMLINK_FOLLOW)
}

// storedCapabilityName is the name under which an attribute file has the capabilities of its
// inode.
var storedCapabilityName = &[]byte(Xattr + "." + CapabilityXattr + "\x00")[0]

// moveCapabilities moves capabilities of the special file o into its attribute file, because
// its record is about to take their place. Only a change of the owner removes them.
func (s *Store) moveCapabilities(o *object) unix.Errno {
	var value [capabilitySize3]byte
	n, e := o.getxattr(capabilityName, value[:])
	if e != 0 || IsCapabilityRecord(value[:n]) {
		return 0
	}
	// On overlayfs, this makes the inode that the attribute file belongs to.
	if e := o.setxattr(capabilityName, value[:n], 0); e != 0 {
		return e
	}
	var p AttributePath
	path, e := s.attributeFile(o, true, &p)
	if e != 0 {
		return e
	}
	return sys.Setxattr(path, storedCapabilityName, value[:n], 0)
}

// readACLs returns the value of the record in the attribute file of o, which has ACLs only, or
// nil. It reads into buf or a new buffer.
func (s *Store) readACLs(o *object, buf []byte) []byte {
	var p AttributePath
	path, e := s.attributeFile(o, false, &p)
	if e != 0 {
		return nil
	}
	n, e := sys.Getxattr(path, true, attributeName, buf)
	if e == unix.ERANGE {
		buf = make([]byte, maxXattr)
		n, e = sys.Getxattr(path, true, attributeName, buf)
	}
	if e != 0 {
		return nil
	}
	return buf[:n]
}

// setACLs writes the ACLs of r to the attribute file of o.
func (s *Store) setACLs(o *object, r *Record) unix.Errno {
	var p AttributePath
	path, e := s.attributeFile(o, r.hasACL(), &p)
	if !r.hasACL() {
		if e == 0 { // the ACLs of an earlier record, if any
			sys.Removexattr(path, true, attributeName)
		}
		return 0
	}
	if e != 0 {
		return e
	}
	var small [smallValue]byte
	acls := Record{ID: Unchanged, Access: r.Access, Default: r.Default}
	return sys.Setxattr(path, attributeName, acls.Append(small[:0]), 0)
}
