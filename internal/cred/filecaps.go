package cred

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// FileCaps are the capabilities of a file, which it has in the extended
// attribute security.capability.
type FileCaps struct {
	Permitted, Inheritable Caps

	// Effective "is not a set, but rather just a single bit" (capabilities(7)).
	Effective bool

	// RootID is the user id of the root of the namespace that the capabilities are
	// for; 0 in revisions 1 and 2, which have none.
	RootID uint32
}

// The revisions of the attribute, from <linux/capability.h>: the number in the
// top byte of its first word, with the length of its value. Permitted and
// inheritable follow for the low 32 capabilities, then for the high ones, then
// the root id, all little endian.
const (
	fileCapsEffective = 1 << 0

	revision1, size1 = 0x01000000, 12
	revision2, size2 = 0x02000000, 20
	revision3, size3 = 0x03000000, 24
)

// revision returns the revision of a value, or 0 if it is not one.
func revision(value []byte) uint32 {
	if len(value) < 4 {
		return 0
	}
	r := binary.LittleEndian.Uint32(value) &^ fileCapsEffective
	switch {
	case r == revision1 && len(value) == size1, r == revision2 && len(value) == size2, r == revision3 && len(value) == size3:
		return r
	}
	return 0
}

// ParseFileCaps decodes the value of security.capability, of any revision, as
// execve(2) does: EINVAL if it is malformed.
func ParseFileCaps(value []byte) (FileCaps, unix.Errno) {
	r := revision(value)
	if r == 0 {
		return FileCaps{}, unix.EINVAL
	}
	word := func(n int) uint32 { return binary.LittleEndian.Uint32(value[4*n:]) }
	f := FileCaps{
		Permitted:   Caps(word(1)),
		Inheritable: Caps(word(2)),
		Effective:   word(0)&fileCapsEffective != 0,
	}
	if r >= revision2 {
		f.Permitted |= Caps(word(3)) << 32
		f.Inheritable |= Caps(word(4)) << 32
	}
	if r == revision3 {
		f.RootID = word(5)
	}
	return f, 0
}

// CheckFileCaps tells what setxattr(2) says of a value for security.capability,
// to anybody, before it asks for CAP_SETFCAP: EINVAL unless it is of revision 2 or 3, or
// empty, with which execve(2) fails.
//
// capabilities(7): "The kernel transparently continues to support the execution of
// files that have 32-bit version 1 capability masks, but when adding capabilities to
// files [...] it automatically uses the version 2 scheme (or possibly the version 3
// scheme".
func CheckFileCaps(value []byte) unix.Errno {
	if len(value) > 0 && revision(value) < revision2 {
		return unix.EINVAL
	}
	return 0
}

// Append appends the value of security.capability to b: revision 2, or 3 if there is
// a root id.
func (f FileCaps) Append(b []byte) []byte {
	header := uint32(revision2)
	if f.RootID != 0 {
		header = revision3
	}
	if f.Effective {
		header |= fileCapsEffective
	}
	for _, word := range [...]uint32{header,
		uint32(f.Permitted), uint32(f.Inheritable), uint32(f.Permitted >> 32), uint32(f.Inheritable >> 32)} {
		b = binary.LittleEndian.AppendUint32(b, word)
	}
	if f.RootID != 0 {
		b = binary.LittleEndian.AppendUint32(b, f.RootID)
	}
	return b
}
