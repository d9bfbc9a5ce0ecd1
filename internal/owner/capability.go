package owner

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Symbolic links, FIFOs, sockets and devices cannot have user.* attributes. But in a user
// namespace the kernel lets root set security.capability on inodes of any type, and gives it
// a meaning for regular files only. Its value has room for an owner and a device number.
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
//	16 magic, and the type of a device
type capabilityValue [20]byte

// capabilityVersion is VFS_CAP_REVISION_2.
const capabilityVersion = 0x02000000

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
)

// capabilityRecord returns the value for r; false if r has no room in it: an ACL, or a device
// number of more than 32 bits.
func (r *Record) capabilityValue() (v capabilityValue, ok bool) {
	if len(r.Access) > 0 || len(r.Default) > 0 || r.Rdev > 0xffffffff {
		return v, false
	}
	kind := uint32(capabilityNoDevice)
	switch r.Type {
	case unix.S_IFCHR:
		kind = capabilityChar
	case unix.S_IFBLK:
		kind = capabilityBlock
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
	switch field(4) &^ capabilityMagicMask {
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
	return len(value) == len(capabilityValue{}) &&
		binary.LittleEndian.Uint32(value) == capabilityVersion &&
		binary.LittleEndian.Uint32(value[16:])&capabilityMagicMask == capabilityMagic
}

// setCapability makes r the record in the capability attribute of the object, or removes the
// attribute if r is redundant. Capabilities stay as they are.
func (o *object) setCapability(r *Record, redundant bool) unix.Errno {
	if redundant {
		var old capabilityValue
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
	return o.setxattr(capabilityName, value[:], 0)
}
