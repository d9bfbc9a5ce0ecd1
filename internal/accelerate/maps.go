package accelerate

import (
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/accelerate/blob"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// mapping is a mapping of a process: see proc_pid_maps(5).
type mapping struct {
	start, end uint64
	offset     uint64 // in the file
	file       file   // zero: none
	executable bool
	writable   bool
	private    bool
	code       bool // the mapping of a blob
}

// file identifies the file of a mapping.
type file struct {
	major, minor uint32
	inode        uint64
}

// procmapQuery is struct procmap_query of <linux/fs.h>.
type procmapQuery struct {
	size, queryFlags, queryAddress uint64
	start, end, flags              uint64
	pageSize, offset, inode        uint64
	major, minor                   uint32
	nameSize, buildIDSize          uint32
	name, buildID                  unsafe.Pointer
}

// Constants of <linux/fs.h>.
const (
	procmapQueryIoctl = 0xc0686611 // PROCMAP_QUERY, of Linux 6.11
	procmapWritable   = 0x02
	procmapExecutable = 0x04
	procmapShared     = 0x08
	procmapNext       = 0x10 // the mapping with the address, or the next one
)

// mappings returns the mappings of a process, in the order of their addresses. Maps is a descriptor of
// its /proc/PID/maps. They are asked for one by one: the kernel takes longer to write a line of text.
func mappings(maps int) ([]mapping, error) {
	all := make([]mapping, 0, 32)
	for at := uint64(0); ; {
		q := procmapQuery{size: uint64(unsafe.Sizeof(procmapQuery{})), queryFlags: procmapNext, queryAddress: at}
		switch e := sys.Ioctl(maps, procmapQueryIoctl, unsafe.Pointer(&q)); e {
		case 0:
		case unix.ENOENT:
			return all, nil
		case unix.EINTR:
			continue
		default:
			return nil, e
		}
		m := mapping{
			start: q.start, end: q.end, offset: q.offset, file: file{q.major, q.minor, q.inode},
			executable: q.flags&procmapExecutable != 0, writable: q.flags&procmapWritable != 0, private: q.flags&procmapShared == 0,
		}
		// A memfd is on a file system without a device. The program may have changed the protection.
		if m.private && m.file.major == 0 && m.file.inode != 0 && m.offset == 0 && m.end-m.start <= uint64(len(blob.Code())) {
			m.code = strings.HasPrefix(nameOf(maps, m.start), "/memfd:"+memfdName+" ")
		}
		all = append(all, m)
		at = m.end
	}
}

// nameOf returns the name of the file of the mapping that begins at start, or "".
func nameOf(maps int, start uint64) string {
	var name [64]byte
	q := procmapQuery{size: uint64(unsafe.Sizeof(procmapQuery{})), queryAddress: start,
		nameSize: uint32(len(name)), name: unsafe.Pointer(&name)}
	if sys.Ioctl(maps, procmapQueryIoctl, unsafe.Pointer(&q)) != 0 { // also of a longer name
		return ""
	}
	return unix.ByteSliceToString(name[:])
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
