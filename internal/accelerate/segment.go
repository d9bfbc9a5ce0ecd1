package accelerate

import (
	"debug/elf"
)

// elfHeaderSize is enough for the header of an ELF file and its program headers: the
// linkers put them right behind it.
const elfHeaderSize = 64 + 56*32

// segmentEnd returns the address after the last byte of the text segment that is mapped
// from start to end. Header is the beginning of the ELF file, which is mapped at base. Ok
// is false if that is not a 64-bit ELF file, or has no such segment. The rest of the last
// page belongs to nobody.
func segmentEnd(header []byte, base, start, end uint64) (last uint64, ok bool) {
	if len(header) < 64 || string(header[:5]) != "\x7fELF\x02" {
		return 0, false
	}
	at, size, n := le.Uint64(header[32:]), le.Uint16(header[54:]), int(le.Uint16(header[56:]))
	if at != 64 || size != 56 || 64+56*n > len(header) {
		return 0, false
	}
	first := true
	var bias uint64
	for i := range n {
		h := header[64+56*i:]
		flags, offset, address, inFile, inMemory := elf.ProgFlag(le.Uint32(h[4:])), le.Uint64(h[8:]), le.Uint64(h[16:]), le.Uint64(h[32:]), le.Uint64(h[40:])
		if elf.ProgType(le.Uint32(h)) != elf.PT_LOAD {
			continue
		}
		if first {
			if offset != 0 {
				return 0, false
			}
			bias, first = base-address, false
		}
		if bias+address&^(pageSize-1) != start {
			continue
		}
		last = bias + address + inMemory
		return last, flags&elf.PF_X != 0 && flags&elf.PF_W == 0 && inFile == inMemory && last > start && (last+pageSize-1)&^(pageSize-1) == end
	}
	return 0, false
}
