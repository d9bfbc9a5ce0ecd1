package accelerate

import (
	"bytes"
	"fmt"
)

// mapping is one line of /proc/PID/maps: see proc_pid_maps(5).
type mapping struct {
	start, end uint64
	offset     uint64 // in the file
	file       file   // zero: none
	executable bool
	writable   bool
	private    bool
	code       bool // the mapping of a blob, or of a part of it
}

// file identifies the file of a mapping.
type file struct {
	major, minor uint32
	inode        uint64
}

// parseMaps returns the mappings of a process, in the order of their addresses.
func parseMaps(text []byte) ([]mapping, error) {
	all := make([]mapping, 0, bytes.Count(text, []byte("\n")))
	for line := range bytes.Lines(text) {
		var m mapping
		f := fields{rest: line}
		m.start, m.end = f.number(16, '-'), f.number(16, ' ')
		perms := f.until(' ')
		m.offset = f.number(16, ' ')
		m.file = file{uint32(f.number(16, ':')), uint32(f.number(16, ' ')), f.number(10, ' ')}
		if f.wrong || len(perms) != 4 {
			return nil, fmt.Errorf("cannot understand the line %q of /proc/PID/maps", bytes.TrimSpace(line))
		}
		m.writable, m.executable, m.private = perms[1] == 'w', perms[2] == 'x', perms[3] == 'p'
		m.code = bytes.Contains(line, []byte(" /memfd:"+memfdName+" "))
		all = append(all, m)
	}
	return all, nil
}

// fields takes fields from a line.
type fields struct {
	rest  []byte
	wrong bool // a field was not what it should be
}

// until returns the field that ends with the byte end. A line may end instead.
func (f *fields) until(end byte) []byte {
	n := bytes.IndexByte(f.rest, end)
	if n < 0 {
		n = len(f.rest) - 1
	}
	if n < 0 || end != ' ' && f.rest[n] != end {
		f.wrong = true
		return nil
	}
	field := f.rest[:n]
	f.rest = f.rest[n+1:]
	return field
}

// number returns the field that ends with the byte end, a number to this base, 10 or 16.
func (f *fields) number(base uint64, end byte) (v uint64) {
	field := f.until(end)
	f.wrong = f.wrong || len(field) == 0 || len(field) > 16 && base == 16
	for _, b := range field {
		d := uint64(b - '0')
		if base == 16 && b >= 'a' {
			d = uint64(b-'a') + 10
		}
		f.wrong = f.wrong || d >= base
		v = v*base + d
	}
	return v
}

// isText reports whether m is the text of a program or library, which nobody writes.
func (m *mapping) isText() bool {
	return m.executable && !m.writable && m.private && m.file != (file{})
}

// beginning returns the index of the mapping of the beginning of the file whose text is the mapping
// with the index k, or -1.
func beginning(all []mapping, k int) int {
	base := k
	for base >= 0 && (all[base].file != all[k].file || all[base].offset != 0) {
		base--
	}
	return base
}

// memfdName is the name of the memfd with the blob.
const memfdName = "subuidless-accelerate"

// containing returns the index of the mapping with an address, or -1.
func containing(all []mapping, address uint64) int {
	for i := range all {
		if address >= all[i].start && address < all[i].end {
			return i
		}
	}
	return -1
}

const (
	// farthest is how far the blob may be from a call site: jumps reach 2 GiB, and the
	// object with the call site may have others.
	farthest = 1<<31 - 1<<27
	// margin is how far the blob stays away from the mapping above it, so that this one
	// can grow.
	margin = 1 << 20
	// lowest is the lowest address for the blob: a null pointer to something large shall
	// still lead nowhere.
	lowest = 1 << 20
)

// findRoom returns an address for size bytes within reach of the mapping with the index
// i: in the nearest gap below it that is large enough. Ok is false if there is none.
func findRoom(all []mapping, i int, size uint64) (address uint64, ok bool) {
	for top := all[i].end; i >= 0; i-- {
		bottom := uint64(lowest)
		if i > 0 {
			bottom = max(bottom, all[i-1].end)
		}
		end := all[i].start
		if end < bottom+size+2*margin {
			continue
		}
		address = (end - margin - size) &^ (pageSize - 1)
		return address, top-address < farthest
	}
	return 0, false
}
