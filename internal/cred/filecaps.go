package cred

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// FileCaps has the capabilities of a file: the extended attribute security.capability.
type FileCaps struct {
	Permitted, Inheritable Caps

	// Effective "is not a set, but rather just a single bit" (capabilities(7)).
	Effective bool

	// RootID is the user id of root in the user namespace in which the capabilities are
	// valid. It is 0 in revisions 1 and 2, which do not store it.
	RootID uint32
}

// Format of the attribute, from <linux/capability.h>, in little-endian words: the revision
// in the top byte and the flag of the effective bit; permitted and inheritable of the
// capabilities 0 to 31, then of the others; and the root id. Each revision has its own
// size, in bytes.
const (
	fileCapsEffective = 1 << 0

	revision1, size1 = 0x01000000, 12
	revision2, size2 = 0x02000000, 20
	revision3, size3 = 0x03000000, 24
)

// revision returns the revision of a value, or 0 if it is malformed.
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

// ParseFileCaps decodes a value of security.capability of any revision, like execve(2). The
// error is EINVAL if it is malformed.
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

// CheckFileCaps checks a value of security.capability like setxattr(2) does for every
// caller, before it requires CAP_SETFCAP. The error is EINVAL unless the value is one of
// revision 2 or 3, or is empty. An empty value can be set, but makes execve(2) fail.
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

// Append appends the value of security.capability for f to b. It is one of revision 2, or
// of revision 3 if RootID is not 0.
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
