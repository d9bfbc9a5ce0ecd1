package accelerate

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/accelerate/blob"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// process is a process whose notification is being answered. Paths are those of the
// supervisor's /proc, which is the working directory.
type process struct {
	pid    uint32
	mem    int // descriptor of /proc/PID/mem: even if the thread id is reused, of this memory
	header blob.Header
}

var (
	errBusy  = errors.New("another task may be executing its code")
	errPlace = errors.New("there is no room for the code")
	errSite  = errors.New("the call site has another form")

	errProtected = errors.New("writing to /proc/PID/mem")
)

// open opens the memory of the process pid.
func open(pid uint32, header blob.Header) (*process, error) {
	mem, err := unix.Open(fmt.Sprintf("%d/mem", pid), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /proc/%d/mem: %w", pid, err)
	}
	return &process{pid: pid, mem: mem, header: header}, nil
}

func (p *process) close() { unix.Close(p.mem) }

// read fills b from the address at.
func (p *process) read(at uint64, b []byte) error {
	n, err := unix.Pread(p.mem, b, int64(at))
	if err == nil && n < len(b) {
		err = unix.EFAULT
	}
	return err
}

// write writes b to the address at, also if the process itself may not write there: it
// then gets its own copy of the page. If b does not cross a page, all of it is written or
// nothing.
func (p *process) write(at uint64, b []byte) error {
	n, err := unix.Pwrite(p.mem, b, int64(at))
	if err == nil && n < len(b) {
		err = unix.EFAULT
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errProtected, err)
	}
	return nil
}

// checkAlone returns an error unless the process, which waits for an answer, is the only
// task that can be executing its code, and nobody debugs or restricts it. Whether a task
// that is not a relative shares its memory is known from SharesMemory in package
// syscalls.
func (p *process) checkAlone() error {
	status, err := os.ReadFile(strconv.Itoa(int(p.pid)) + "/status")
	if err != nil {
		return err
	}
	for name, want := range map[string]string{
		"Tgid": strconv.Itoa(int(p.pid)), "Threads": "1",
		"TracerPid": "0",
		// Only ours: another filter may know nothing of the calls that the code makes.
		"Seccomp_filters": "1",
	} {
		if field(status, name) != want {
			return errBusy
		}
	}
	parent, err := strconv.ParseUint(field(status, "PPid"), 10, 32)
	if err != nil {
		return errBusy
	}
	if parent == 0 { // outside of the supervisor's PID namespace
		return nil
	}
	// A child of vfork(2) has its parent's memory, and the parent may have threads.
	// A parent that must not be inspected has memory of its own: the attribute
	// "dumpable" of ptrace(2) belongs to the memory.
	same, e := sys.SameMemory(p.pid, uint32(parent))
	if same || e != 0 && e != unix.EPERM && e != unix.ESRCH {
		return errBusy
	}
	return nil
}

// field returns a field of /proc/PID/status.
func field(status []byte, name string) string {
	_, rest, _ := bytes.Cut(status, []byte("\n"+name+":\t"))
	value, _, _ := bytes.Cut(rest, []byte("\n"))
	return string(value)
}

// maps returns the mappings of the process.
func (p *process) maps() ([]mapping, error) {
	text, err := os.ReadFile(strconv.Itoa(int(p.pid)) + "/maps")
	if err != nil {
		return nil, err
	}
	return parseMaps(text)
}

// site returns the call site of the call nr with the instruction pointer after.
func (p *process) site(after uint64, nr uint32) (site, error) {
	before := make([]byte, maxSite+1)
	if p.read(after-uint64(len(before)), before) != nil {
		// Nothing may be mapped before the page of the call.
		before = before[:min(len(before), int((after-1)%pageSize)+1)]
		if err := p.read(after-uint64(len(before)), before); err != nil {
			return site{}, err
		}
	}
	s, ok := parseSite(before, after, nr)
	if !ok || crossesPage(s.load, loadSize) {
		return site{}, errSite
	}
	return s, nil
}

// isMapped reports whether the blob is mapped at the address at.
func (p *process) isMapped(at uint64) bool {
	var b [blob.HeaderSize]byte
	if p.read(at, b[:]) != nil {
		return false
	}
	h, ok := blob.ParseHeader(b[:])
	return ok && h == p.header
}

// placeBootstrap returns an empty place for a bootstrap in the mapping with the index i,
// which has a call site.
func (p *process) placeBootstrap(all []mapping, i int) (at uint64, err error) {
	text := &all[i]
	if !text.executable || text.writable || !text.private || text.file == (file{}) {
		return 0, errPlace
	}
	base := i
	for all[base].file != text.file || all[base].offset != 0 {
		if base--; base < 0 {
			return 0, errPlace
		}
	}
	var header [elfHeaderSize]byte
	if err := p.read(all[base].start, header[:]); err != nil {
		return 0, err
	}
	last, ok := segmentEnd(header[:], all[base].start, text.start, text.end)
	if !ok {
		return 0, errPlace
	}
	room := make([]byte, text.end-last)
	if err := p.read(last, room); err != nil {
		return 0, err
	}
	for ; len(room) >= bootstrapSize; room = room[:len(room)-bootstrapSize] {
		at := last + uint64(len(room)) - bootstrapSize
		code := room[len(room)-bootstrapSize:]
		if bytes.Count(code, []byte{0}) == len(code) {
			return at, nil
		}
		if _, ours := parseBootstrap(code, at); !ours {
			break
		}
	}
	return 0, errPlace
}

// bootstrapAt returns the bootstrap at the address at.
func (p *process) bootstrapAt(at uint64) (bootstrap, error) {
	code := make([]byte, bootstrapSize)
	if err := p.read(at, code); err != nil {
		return bootstrap{}, err
	}
	b, ok := parseBootstrap(code, at)
	if !ok {
		return bootstrap{}, errPlace
	}
	return b, nil
}

// writeSlot writes a slot for the call site s into the blob that is mapped at the address
// mapping, unless there is one already, and returns its address.
func (p *process) writeSlot(s *site, mapping uint64) (at uint64, err error) {
	at = mapping + uint64(p.header.Slots)
	slots := make([]byte, p.header.EndOfSlots-p.header.Slots)
	if err := p.read(at, slots); err != nil {
		return 0, err
	}
	for ; len(slots) > 0; at, slots = at+slotSize, slots[slotSize:] {
		slot, ok := makeSlot(s, at, mapping+uint64(p.header.Common))
		switch {
		case !ok:
			return 0, errPlace
		case [slotSize]byte(slots[:slotSize]) == slot:
			return at, nil
		case le.Uint64(slots[slotSiteAt:]) == 0:
			return at, p.write(at, slot[:])
		}
	}
	return 0, errPlace
}

// jumps reports whether the call site s jumps to the address to.
func (p *process) jumps(s *site, to uint64) bool {
	var code [loadSize]byte
	if p.read(s.load, code[:]) != nil {
		return false
	}
	leads, ok := jumpTarget(code[:], s.load)
	return ok && leads == to
}

// redirect makes the call site s jump to the address to, in place of the load.
func (p *process) redirect(s *site, to uint64) error {
	jump, ok := appendJump(nil, s.load, to)
	if !ok {
		return errPlace
	}
	return p.write(s.load, jump)
}
