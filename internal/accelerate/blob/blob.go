// Package blob holds the code that runs in accelerated processes (directory source), as the
// bytes that a process maps, and what that code and the supervisor agree on. See package
// accelerate.
package blob

import (
	"bytes"
	_ "embed"
	"encoding/binary"
)

// The code is the same for all processes. To change it, edit its sources, and run
//
//	source/build.sh code.amd64.bin
//
//go:embed code.amd64.bin
var code []byte

// Code returns the contents of the mapping. The caller must not change them.
func Code() []byte { return code }

// CodeFor returns the contents of the mapping for a program whose calls with these numbers the code
// may answer. Larger numbers than 511 are left out.
func CodeFor(answered []uint32) []byte {
	all := bytes.Clone(code)
	for _, nr := range answered {
		if nr < 512 {
			all[AnsweredOffset+nr/8] |= 1 << (nr % 8)
		}
	}
	return all
}

// The options of prctl(2) by which the code in a process calls the supervisor. The kernel
// does not know them: without a supervisor, the calls fail with EINVAL.
const (
	// PrctlMap, with the address of the bootstrap, returns a descriptor of the code.
	PrctlMap = 0x73756262
	// PrctlMapped, with the address of the mapping and that of the bootstrap, says that
	// the code is mapped. It returns 0.
	PrctlMapped = 0x73756263
)

// Header is struct header of source/code.h, which is at the beginning of the mapping. Its
// numbers are offsets from there.
type Header struct {
	Magic             uint64
	Size              uint32 // of the mapping
	Entry             uint32 // where the bootstrap jumps to
	Common            uint32 // where slots jump to
	CommonGo          uint32 // where slots of Go's call site jump to
	AfterSlow         uint32 // the instruction pointer of notified calls
	Slots, EndOfSlots uint32
}

// OffOffset is the offset of two bytes. Unless the first one is 0, every call is notified. Unless the
// second one is 0, the syscall instructions of the program make all calls.
const OffOffset = 36

// AnsweredOffset is the offset of the bits for the calls that the code may answer: 8 words of 64 bits.
const AnsweredOffset = 40

// HeaderSize is the size of the Header in the mapping.
const HeaderSize = OffOffset

// ParseHeader returns the Header at the beginning of b, which has at least HeaderSize
// bytes. Ok is false if this is not the mapping of a code.
func ParseHeader(b []byte) (h Header, ok bool) {
	le := binary.LittleEndian
	h = Header{le.Uint64(b), le.Uint32(b[8:]), le.Uint32(b[12:]), le.Uint32(b[16:]), le.Uint32(b[20:]), le.Uint32(b[24:]), le.Uint32(b[28:]), le.Uint32(b[32:])}
	return h, h.Magic == magic
}

// magic is Header.Magic: "buidless", little-endian.
const magic = 0x7373656c64697562
