package owner

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Symbolic links, FIFOs, sockets and devices cannot have user.* attributes. But in a user
// namespace the kernel lets root set security.capability on inodes of any type, and gives it
// a meaning for regular files only. Its value has room for an owner and a device number. ACLs
// have none: they are in the attribute file, see attributefile.go.
//
// So records of such inodes are in the inode, too: they stay with it through mv, hard links,
// a copy-up of overlayfs, a remount and a reboot, on any machine that gets the file system.

// CapabilityXattr is the attribute that holds the records of inodes other than regular files
// and directories.
const CapabilityXattr = "security.capability"

// capabilityName is CapabilityXattr, NUL-terminated.
var capabilityName = &capabilityInList[0]

// The names of the attributes as listxattr(2) gives them.
var (
	attributeInList  = []byte(Xattr + "\x00")
	capabilityInList = []byte(CapabilityXattr + "\x00")
)

// capabilityValue is a struct vfs_cap_data of <linux/capability.h>, version 2, in little
// endian: the version, which the kernel checks, and four numbers, which it does not.
//
//	0  version and flags
//	4  uid
//	8  gid
//	12 device number, as in unix.Stat_t
//	16 magic, and the type of a device or another letter
//
// capabilities(7): version 3 has, in addition, "the user ID of root in the user namespace".
// The kernel stores that version, for the root of the namespace that set the value, and shows
// version 2 to this root. In a namespace that maps another id than 0, it shows version 3 with
// that id, and takes no other.
type capabilityValue [20]byte

// Versions of the attribute.
const (
	capabilityVersion  = 0x02000000 // VFS_CAP_REVISION_2
	capabilityVersion3 = 0x03000000 // VFS_CAP_REVISION_3
)

// capabilitySize3 is the size of a value of version 3, in bytes.
const capabilitySize3 = len(capabilityValue{}) + 4

// The last number of the value. Real capabilities never have it: it stands where the
// inheritable capabilities from 32 up are.
const (
	capabilityMagic     = 0x73756200 // "sub"
	capabilityMagicMask = 0xffffff00
)

// The lowest byte of the last number.
const (
	capabilityNoDevice = 0
	capabilityChar     = 'c'
	capabilityBlock    = 'b'
	capabilityRootID   = 'r' // see RootIDMark
	// capabilityAttributes is added if the inode has an attribute file.
	capabilityAttributes = 0x80
)

// capabilityValue returns the value for r, without its ACLs; false if the device number has
// more than 32 bits.
func (r *Record) capabilityValue() (v capabilityValue, ok bool) {
	if r.Rdev > 0xffffffff {
		return v, false
	}
	kind := uint32(capabilityNoDevice)
	switch r.Type {
	case unix.S_IFCHR:
		kind = capabilityChar
	case unix.S_IFBLK:
		kind = capabilityBlock
	}
	if r.attributes {
		kind |= capabilityAttributes
	}
	for i, n := range [...]uint32{capabilityVersion, r.UID, r.GID, uint32(r.Rdev), capabilityMagic | kind} {
		binary.LittleEndian.PutUint32(v[4*i:], n)
	}
	return v, true
}

// parseCapability fills r from the value of a capability attribute, and reports whether that
// is a record.
func (r *Record) parseCapability(value []byte) bool {
	if !IsCapabilityRecord(value) {
		return false
	}
	field := func(i int) uint32 { return binary.LittleEndian.Uint32(value[4*i:]) }
	parsed := Record{ID: ID{UID: field(1), GID: field(2)}, Rdev: uint64(field(3)), buf: r.buf}
	letter := field(4) &^ capabilityMagicMask
	parsed.attributes = letter&capabilityAttributes != 0
	switch letter &^ capabilityAttributes {
	case capabilityNoDevice:
		if parsed.Rdev != 0 {
			return false
		}
	case capabilityChar:
		parsed.Type = unix.S_IFCHR
	case capabilityBlock:
		parsed.Type = unix.S_IFBLK
	default:
		return false
	}
	*r = parsed
	return true
}

// IsCapabilityRecord reports whether the value of a capability attribute is a record, and not
// capabilities.
func IsCapabilityRecord(value []byte) bool {
	version := uint32(capabilityVersion)
	switch len(value) {
	case len(capabilityValue{}):
	case capabilitySize3:
		version = capabilityVersion3
	default:
		return false
	}
	return binary.LittleEndian.Uint32(value) == version &&
		binary.LittleEndian.Uint32(value[16:])&capabilityMagicMask == capabilityMagic
}

// RootIDMark is the value of the capability attribute of a regular file whose capabilities
// belong to a root user id that the kernel does not store, because it is not mapped. They
// are stored elsewhere. The mark has no capabilities, and the kernel removes it whenever it
// would remove the capabilities.
var RootIDMark = func() []byte {
	v, _ := (&Record{}).capabilityValue()
	v[16] |= capabilityRootID
	return v[:]
}()

// IsRootIDMark reports whether the value of a capability attribute is RootIDMark.
func IsRootIDMark(value []byte) bool { return bytes.Equal(value, RootIDMark) }

// HasAttributeFile reports whether the value of a capability attribute is the record of an
// inode with an attribute file.
func HasAttributeFile(value []byte) bool {
	return IsCapabilityRecord(value) && value[16]&capabilityAttributes != 0
}

// setCapability makes r the record in the capability attribute of o, or removes the attribute if r
// is redundant. Capabilities stay as they are. Flags are those of setxattr(2). The error is
// EOPNOTSUPP if the file system drops the value.
func (s *Store) setCapability(o *object, r *Record, redundant bool, flags uint32) unix.Errno {
	if redundant {
		var old [capabilitySize3]byte
		n, e := o.getxattr(capabilityName, old[:])
		if e != 0 || !IsCapabilityRecord(old[:n]) {
			return 0
		}
		return o.removexattr(capabilityName)
	}
	value, ok := r.capabilityValue()
	if !ok {
		return unix.EOPNOTSUPP
	}
	var value3 [capabilitySize3]byte
	set := append(value3[:0], value[:]...)
	if mapped := s.Mapped.UID; mapped != 0 {
		binary.LittleEndian.PutUint32(set, capabilityVersion3)
		set = binary.LittleEndian.AppendUint32(set, mapped)
	}
	e := o.setxattr(capabilityName, set, flags)
	if e == 0 && !s.keeps(o, capabilityName, set) {
		return unix.EOPNOTSUPP
	}
	return e
}
