package owner

import (
	"errors"
	"math"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/encoding/protowire"
)

// Xattr is the name of the extended attribute that holds a record, as defined by
// https://github.com/rootless-containers/proto. umoci, PRoot and Apptainer use it too.
const Xattr = "user.rootlesscontainers"

// Noop is the proto's NoopID: the uid or gid is the one that the kernel shows. As an
// argument of chown(2) it is -1.
const Noop = 0xffffffff

// ID is the owner of a file: emulated ids, or Noop.
type ID struct{ UID, GID uint32 }

// Over returns id with each component that is Noop replaced by the one of kernel, the
// owner that the kernel shows.
func (id ID) Over(kernel ID) ID {
	if id.UID == Noop {
		id.UID = kernel.UID
	}
	if id.GID == Noop {
		id.GID = kernel.GID
	}
	return id
}

// Record is what subuidless stores for an inode.
type Record struct {
	ID // the owner; each component may be Noop

	// Type is unix.S_IFCHR or unix.S_IFBLK if the inode is the placeholder of a device,
	// and 0 otherwise.
	Type uint32
	Rdev uint64 // number of the device, as in unix.Stat_t; 0 if Type is 0

	// Access and Default are the POSIX ACLs that the kernel does not accept, because they
	// name ids that are not mapped. Their format is that of the attributes
	// system.posix_acl_access and system.posix_acl_default: see package acl. Nil if there
	// is none.
	Access, Default []byte

	attributes bool // the inode has an attribute file

	// SetID, if not 0, is what the inode, a regular file, has in the place of its bits in
	// SetIDBits. It counts as long as its st_mode has S_ISVTX: see SetIDBits.
	SetID uint32

	// NewMode, if not 0, is the st_mode that the inode has got while its record was read: see
	// Temporary.
	NewMode uint32

	buf []byte // Access and Default may point into it; Store.Record reuses it
}

// SetIDBits are the mode bits that Record.SetID holds. While it does, the kernel's st_mode
// has of these bits only S_ISVTX, which means nothing for a regular file, and marks it: the
// kernel has no set-id bits to clear when root writes to the file. Whatever sets another
// mode, such as chmod(2) of a program outside of the container, makes SetID void thereby.
const SetIDBits = unix.S_ISUID | unix.S_ISGID | unix.S_ISVTX

// Mode returns the st_mode of the inode, whose st_mode for the kernel is mode.
func (r *Record) Mode(mode uint32) uint32 {
	if r.SetID != 0 {
		mode = mode&^SetIDBits | r.SetID
	}
	if r.Type != 0 {
		mode = mode&^unix.S_IFMT | r.Type
	}
	return mode
}

// dropVoid removes what an inode of st_mode mode makes void in r.
func (r *Record) dropVoid(mode uint32) {
	if mode&(unix.S_IFMT|unix.S_ISVTX) != unix.S_IFREG|unix.S_ISVTX {
		r.SetID = 0
	}
}

// Unchanged is the owner of an inode that keeps the one that the kernel shows.
var Unchanged = ID{Noop, Noop}

// Field numbers. The first two are those of the proto's message Resource. The others are
// specific to subuidless, and far above any number that the proto may assign. Other
// readers skip them.
const (
	fieldUID     protowire.Number = 1
	fieldGID     protowire.Number = 2
	fieldType    protowire.Number = 1000
	fieldRdev    protowire.Number = 1001
	fieldAccess  protowire.Number = 1002
	fieldDefault protowire.Number = 1003
	fieldSetID   protowire.Number = 1004
)

// smallValue is the size of buffers for an encoded record, in bytes: enough without ACLs.
const smallValue = 256

var (
	errMalformed = errors.New("malformed record")
	errDevice    = errors.New("record of a device with an impossible type or number")
)

// Append appends the value of the extended attribute for r to b, a protobuf message. It
// always writes the owner's fields, as readers disagree on absent ones (PRoot: Noop,
// proto3: 0).
func (r *Record) Append(b []byte) []byte {
	b = appendVarint(b, fieldUID, uint64(r.UID))
	b = appendVarint(b, fieldGID, uint64(r.GID))
	if r.Type != 0 {
		b = appendVarint(b, fieldType, uint64(r.Type))
		b = appendVarint(b, fieldRdev, r.Rdev)
	}
	if len(r.Access) > 0 {
		b = protowire.AppendBytes(protowire.AppendTag(b, fieldAccess, protowire.BytesType), r.Access)
	}
	if len(r.Default) > 0 {
		b = protowire.AppendBytes(protowire.AppendTag(b, fieldDefault, protowire.BytesType), r.Default)
	}
	if r.SetID != 0 {
		b = appendVarint(b, fieldSetID, uint64(r.SetID))
	}
	return b
}

// appendVarint appends a varint field.
func appendVarint(b []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

// Parse decodes the value b of the extended attribute. As in every proto3 message, an
// absent field is 0 or empty, and unknown fields are skipped. The ACLs of the result
// point into b. The error says that b is malformed, or that it has a device type or
// number that no device can have.
func Parse(b []byte) (Record, error) {
	var r Record
	var typ uint64
	for len(b) > 0 {
		num, wire, n := protowire.ConsumeTag(b)
		if n < 0 {
			return Record{}, errMalformed
		}
		b = b[n:]
		var v uint64
		var s []byte
		switch wire {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			s, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, wire, b)
		}
		if n < 0 {
			return Record{}, errMalformed
		}
		b = b[n:]
		switch {
		case wire == protowire.VarintType && num == fieldUID:
			r.UID = uint32(v)
		case wire == protowire.VarintType && num == fieldGID:
			r.GID = uint32(v)
		case wire == protowire.VarintType && num == fieldType:
			typ = v
		case wire == protowire.VarintType && num == fieldRdev:
			r.Rdev = v
		case wire == protowire.BytesType && num == fieldAccess && len(s) > 0:
			r.Access = s
		case wire == protowire.BytesType && num == fieldDefault && len(s) > 0:
			r.Default = s
		case wire == protowire.VarintType && num == fieldSetID:
			r.SetID = uint32(v) & SetIDBits
		}
	}
	if !isDevice(typ, r.Rdev) && (typ != 0 || r.Rdev != 0) {
		return Record{}, errDevice
	}
	r.Type = uint32(typ)
	return r, nil
}

// isDevice reports whether a device can have this type and number: the kernel's dev_t has
// 32 bits.
func isDevice(typ, rdev uint64) bool {
	return (typ == unix.S_IFCHR || typ == unix.S_IFBLK) && rdev <= math.MaxUint32
}

// validFor reports whether an inode of st_mode mode can have the record r.
func (r *Record) validFor(mode uint32) bool { return r.Type == 0 || canBePlaceholder(mode) }

// canBePlaceholder reports whether an inode of st_mode mode can be the placeholder of a
// device: a regular file or a socket.
func canBePlaceholder(mode uint32) bool {
	t := mode & unix.S_IFMT
	return t == unix.S_IFREG || t == unix.S_IFSOCK
}

// DevNull is the number of the character device null, as in unix.Stat_t.
const DevNull = 1<<8 | 3

// PlaceholderType returns the file type, such as unix.S_IFSOCK, of the placeholder for the
// device that r describes.
//
// The filter does not notify every open for reading only, so that the placeholder itself has
// to behave right then. An empty file reads like /dev/null. A socket cannot be opened:
// ENXIO, as for a device that does not exist.
func (r *Record) PlaceholderType() uint32 {
	if r.Type == unix.S_IFCHR && r.Rdev == DevNull {
		return unix.S_IFREG
	}
	return unix.S_IFSOCK
}

// ownerOnly reports whether r has an owner and nothing else.
func (r *Record) ownerOnly() bool {
	return r.Type == 0 && !r.hasACL() && !r.attributes && r.SetID == 0
}

func (r *Record) hasACL() bool { return len(r.Access) > 0 || len(r.Default) > 0 }
