// Package owner records who owns a file inside the container, which device it
// stands for, and its ACLs: in the user.rootlesscontainers extended attribute of
// the file, or in the sidecar for files that cannot have one.
package owner

import (
	"errors"
	"math"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/encoding/protowire"
)

// Xattr is the extended attribute of https://github.com/rootless-containers/proto,
// which umoci, PRoot and Apptainer read and write too.
const Xattr = "user.rootlesscontainers"

// Noop is the proto's NoopID: "unchanged", the owner that the kernel shows.
// As an argument of chown(2) it is -1.
const Noop = 0xffffffff

// ID is an owner.
type ID struct{ UID, GID uint32 }

// Over returns id, with what the kernel shows for each component that is Noop.
func (id ID) Over(kernel ID) ID {
	if id.UID == Noop {
		id.UID = kernel.UID
	}
	if id.GID == Noop {
		id.GID = kernel.GID
	}
	return id
}

// Record is what is recorded for a file.
type Record struct {
	ID // the owner; a component may be Noop

	// Type is unix.S_IFCHR or unix.S_IFBLK if the file is the placeholder of a
	// device, and 0 if it is what it looks like.
	Type uint32
	Rdev uint64 // the device, as in unix.Stat_t; 0 without a Type

	// Access and Default are the POSIX ACLs that the kernel refuses to hold,
	// because they name ids that are not mapped, in the format of the attributes
	// system.posix_acl_access and _default. Nil: none.
	Access, Default []byte

	buf []byte // what Access and Default are part of
}

// Unchanged is the owner that the kernel shows.
var Unchanged = ID{Noop, Noop}

// Field numbers. The first two are those of the proto's message Resource, and
// the others are ours, far from those that the proto may get: its readers skip
// them.
const (
	fieldUID     protowire.Number = 1
	fieldGID     protowire.Number = 2
	fieldType    protowire.Number = 1000
	fieldRdev    protowire.Number = 1001
	fieldAccess  protowire.Number = 1002
	fieldDefault protowire.Number = 1003
)

// smallValue is enough for a record without ACLs.
const smallValue = 256

var (
	errMalformed = errors.New("malformed value")
	errDevice    = errors.New("no such device")
)

// Append appends the encoding of r to b. The owner's fields are always written:
// the readers disagree about what an absent one means (PRoot: unchanged, proto3: 0).
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
	return b
}

func appendVarint(b []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

// Parse decodes the value of the extended attribute. As in any proto3 message an
// absent field is 0 or empty, and unknown fields are skipped. The ACLs of the
// result are parts of b.
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
		}
	}
	if !isDevice(typ, r.Rdev) && (typ != 0 || r.Rdev != 0) {
		return Record{}, errDevice
	}
	r.Type = uint32(typ)
	return r, nil
}

// isDevice tells whether there can be a device of this type and number: the
// kernel's dev_t has 32 bits.
func isDevice(typ, rdev uint64) bool {
	return (typ == unix.S_IFCHR || typ == unix.S_IFBLK) && rdev <= math.MaxUint32
}

// fits tells whether a file of st_mode mode can have the record r.
func (r *Record) fits(mode uint32) bool { return r.Type == 0 || standsIn(mode) }

// standsIn tells whether a file of st_mode mode can be the placeholder of a
// device: regular files and sockets are.
func standsIn(mode uint32) bool {
	t := mode & unix.S_IFMT
	return t == unix.S_IFREG || t == unix.S_IFSOCK
}

// ownerOnly tells whether r holds nothing but an owner.
func (r *Record) ownerOnly() bool {
	return r.Type == 0 && len(r.Access) == 0 && len(r.Default) == 0
}
