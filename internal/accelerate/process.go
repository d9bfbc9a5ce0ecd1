package accelerate

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
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

	page     uint64 // address of the page that was read last; 0: none
	contents [pageSize]byte
}

var (
	errGone  = errors.New("it does not wait any more")
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

// read fills b from the address at. It remembers the page: the process, which waits, does not change it.
func (p *process) read(at uint64, b []byte) error {
	if crossesPage(at, len(b)) {
		return p.pread(at, b)
	}
	page := at &^ (pageSize - 1)
	if page != p.page || page == 0 {
		p.page = 0
		if err := p.pread(page, p.contents[:]); err != nil {
			return err
		}
		p.page = page
	}
	copy(b, p.contents[at-page:])
	return nil
}

// pread is read of what may have changed.
func (p *process) pread(at uint64, b []byte) error {
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
	p.page = 0
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
// task that can be executing its code, and nobody debugs or restricts it: it has this number of seccomp
// filters. Whether a task that is not a relative shares its memory is known from SharesMemory in package
// syscalls.
func (p *process) checkAlone(filters int) error {
	p.page = 0 // another task may have changed what has been read
	status, err := readStatus(p.pid)
	if err != nil {
		return err
	}
	// A filter of its own may know nothing of the calls that the code makes.
	if sys.StatusField(status, "Threads") != "1" || sys.StatusField(status, "TracerPid") != "0" || sys.StatusField(status, "Seccomp_filters") != strconv.Itoa(filters) ||
		sys.StatusField(status, "Tgid") != strconv.Itoa(int(p.pid)) {
		return errBusy
	}
	parent, err := strconv.ParseUint(sys.StatusField(status, "PPid"), 10, 32)
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

// readStatus returns the contents of /proc/PID/status. That the file is not read by package os saves
// several calls.
func readStatus(pid uint32) ([]byte, error) {
	fd, err := unix.Open(strconv.Itoa(int(pid))+"/status", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /proc/%d/status: %w", pid, err)
	}
	defer unix.Close(fd)
	status := make([]byte, 0, 4096)
	for {
		n, err := unix.Read(fd, status[len(status):cap(status)])
		if n <= 0 || err != nil {
			return status, err
		}
		status = slices.Grow(status[:len(status)+n], 1024)
	}
}

// maps returns the mappings of the process.
func (p *process) maps() ([]mapping, error) {
	maps, err := unix.Open(fmt.Sprintf("%d/maps", p.pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /proc/%d/maps: %w", p.pid, err)
	}
	defer unix.Close(maps)
	return mappings(maps)
}

// site returns the call site of the call nr with the instruction pointer after.
func (p *process) site(after uint64, nr uint32) (*site, error) {
	before := make([]byte, maxSite+1)
	if p.read(after-uint64(len(before)), before) != nil {
		// Nothing may be mapped before the page of the call.
		before = before[:min(len(before), int((after-1)%pageSize)+1)]
		if err := p.read(after-uint64(len(before)), before); err != nil {
			return nil, err
		}
	}
	s, ok := parseSite(before, after, nr)
	if !ok {
		s = site{after - syscallSize - uint64(len(goMoves)), []byte(goMoves)}
	}
	if !p.hasSite(&s) {
		return nil, errSite
	}
	return &s, nil
}

// returnSite returns the instruction that follows a call, which has the instruction pointer after, if
// a jump can replace it.
func (p *process) returnSite(after uint64) (s *site, ok bool) {
	var next [returnSize]byte
	if p.read(after, next[:]) != nil || crossesPage(after, loadSize) {
		return nil, false
	}
	code, ok := comparison(next[:])
	return &site{after, code}, ok
}

// hasSite reports whether the process has the call site s, and it can be replaced.
func (p *process) hasSite(s *site) bool {
	var code [goSize + goRoom]byte
	size := len(s.code) + syscallSize
	if s.isGo() {
		size = len(code)
		if s.load%16 != 0 || crossesPage(s.load, size) { // no other function begins in its room
			return false
		}
	} else if crossesPage(s.load, loadSize) {
		return false
	}
	if p.read(s.load, code[:size]) != nil || !bytes.HasPrefix(code[:], s.code) || string(code[len(s.code):][:syscallSize]) != "\x0f\x05" {
		return false
	}
	if s.isGo() {
		return isGoFunction(code[:])
	}
	var next [goErrors]byte
	return p.read(s.after(), next[:]) != nil || string(next[:]) != goReturn[:goErrors]
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

// tail is what is in memory after the end of a text segment: the rest of its last page, which belongs
// to nobody. There are bootstraps and slots, and otherwise zeros.
type tail struct {
	start   uint64
	content []byte
}

// tail returns the tail of the mapping with the index k.
func (p *process) tail(all []mapping, k int) (t tail, err error) {
	text := &all[k]
	base := beginning(all, k)
	if !text.isText() || base < 0 {
		return tail{}, errPlace
	}
	var header [elfHeaderSize]byte
	if err := p.read(all[base].start, header[:]); err != nil {
		return tail{}, err
	}
	last, ok := segmentEnd(header[:], all[base].start, text.start, text.end)
	if !ok {
		return tail{}, errPlace
	}
	last = (last + slotSize - 1) &^ (slotSize - 1)
	t = tail{last, make([]byte, text.end-last)}
	return t, p.read(last, t.content)
}

// place returns the address of a place in t for size bytes, a bootstrap or a slot, for which fits
// returns true.
func (t *tail) place(size int, fits func(at uint64, content []byte) bool) (at uint64, err error) {
	for end := len(t.content); end >= size; end -= slotSize {
		for end >= bootstrapSize && t.isBootstrap(end-bootstrapSize) {
			end -= bootstrapSize
		}
		if end < size {
			break
		}
		at, content := t.start+uint64(end-size), t.content[end-size:end]
		if fits(at, content) {
			return at, nil
		}
	}
	return 0, errPlace
}

// isBootstrap reports whether there is a bootstrap at the offset n.
func (t *tail) isBootstrap(n int) bool {
	_, ok := parseBootstrap(t.content[n:n+bootstrapSize], t.start+uint64(n))
	return ok
}

// isEmpty reports whether there is nothing but zeros.
func isEmpty(content []byte) bool { return bytes.Count(content, []byte{0}) == len(content) }

// placeBootstrap returns an empty place for a bootstrap in the mapping with the index k.
func (p *process) placeBootstrap(all []mapping, k int) (at uint64, err error) {
	t, err := p.tail(all, k)
	if err != nil {
		return 0, err
	}
	return t.place(bootstrapSize, func(_ uint64, content []byte) bool { return isEmpty(content) })
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

// jumps reports whether the call site s, which is not Go's, jumps to the address to.
func (p *process) jumps(s *site, to uint64) bool {
	var code [loadSize]byte
	if p.read(s.load, code[:]) != nil {
		return false
	}
	leads, ok := jumpTarget(code[:], s.load)
	return ok && leads == to
}
