// Package owner records who owns a file inside the container: in the
// user.rootlesscontainers extended attribute of the file, or in the sidecar for
// files that cannot have one.
package owner

import (
	"errors"

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

// Field numbers of the proto's message Resource.
const (
	fieldUID protowire.Number = 1
	fieldGID protowire.Number = 2
)

// maxValue is enough for the two fields, and for some fields of a later
// version of the proto.
const maxValue = 256

var errMalformed = errors.New("malformed value")

// Append appends the encoding of id to b. Both fields are always written: the
// readers disagree about what an absent one means (PRoot: unchanged, proto3: 0).
func (id ID) Append(b []byte) []byte {
	b = protowire.AppendTag(b, fieldUID, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(id.UID))
	b = protowire.AppendTag(b, fieldGID, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(id.GID))
}

// Parse decodes the value of the extended attribute. As in any proto3 message
// an absent field is 0, and unknown fields are skipped.
func Parse(b []byte) (ID, error) {
	var id ID
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return ID{}, errMalformed
		}
		b = b[n:]
		if typ != protowire.VarintType || num != fieldUID && num != fieldGID {
			if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
				return ID{}, errMalformed
			}
			b = b[n:]
			continue
		}
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return ID{}, errMalformed
		}
		b = b[n:]
		if num == fieldUID {
			id.UID = uint32(v)
		} else {
			id.GID = uint32(v)
		}
	}
	return id, nil
}
