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
	var all []mapping
	for line := range bytes.Lines(text) {
		var m mapping
		var perms string
		n, err := fmt.Sscanf(string(line), "%x-%x %s %x %x:%x %d", &m.start, &m.end, &perms, &m.offset, &m.file.major, &m.file.minor, &m.file.inode)
		if err != nil || n != 7 || len(perms) != 4 {
			return nil, fmt.Errorf("cannot understand the line %q of /proc/PID/maps: %w", bytes.TrimSpace(line), err)
		}
		m.writable, m.executable, m.private = perms[1] == 'w', perms[2] == 'x', perms[3] == 'p'
		m.code = bytes.Contains(line, []byte(" /memfd:"+memfdName+" "))
		all = append(all, m)
	}
	return all, nil
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
