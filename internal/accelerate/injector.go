package accelerate

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/accelerate/blob"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// DefaultAfter is after how many calls that the code could answer a process gets it. The
// code costs as much as about 20 of them.
const DefaultAfter = 16

// Supported returns an error unless this machine can accelerate processes.
func Supported() error {
	if runtime.GOARCH != "amd64" {
		return fmt.Errorf("there is no code for %s, only for amd64", runtime.GOARCH)
	}
	// It came with Linux 6.13. Since 5.19, only a fatal signal interrupts a process whose
	// notification has been received, so that no handler runs while its code changes.
	if !sys.HasGetxattrat() {
		return errors.New("getxattrat is missing (requires Linux 6.13 or later)")
	}
	if same, e := sys.SameMemory(uint32(os.Getpid()), uint32(os.Getpid())); !same {
		return fmt.Errorf("kcmp: %w (requires CONFIG_KCMP)", e)
	}
	return nil
}

// Accelerator accelerates the processes of one container. Its receivers share it.
type Accelerator struct {
	code    int // descriptor of a memfd with the blob
	header  blob.Header
	after   uint32
	sharing *atomic.Uint32
	useless sync.Once // reports that code cannot be changed

	executions [nhints]execution
}

// New returns an Accelerator that gives processes the code after so many calls. Sharing
// is memory that outlives this worker: not 0 if a task of the container may share the
// memory of another process. The error says what the kernel lacks.
func New(after uint32, sharing *atomic.Uint32) (*Accelerator, error) {
	if err := Supported(); err != nil {
		return nil, err
	}
	header, _ := blob.ParseHeader(blob.Code())
	code, err := unix.MemfdCreate(memfdName, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	_, err = unix.Write(code, blob.Code())
	if err == nil {
		if e := sys.Seal(code, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE); e != 0 {
			err = e
		}
	}
	if err != nil {
		unix.Close(code)
		return nil, fmt.Errorf("writing the code of accelerated processes: %w", err)
	}
	return &Accelerator{code: code, header: header, after: after, sharing: sharing}, nil
}

// NoteSharing notes that a task is about to share the memory of another process, without
// being its thread. From then on, no code changes in the container: it is rare, and which
// processes share memory is hard to find out.
func (a *Accelerator) NoteSharing() { a.sharing.Store(1) }

// Injector is what one receiver knows about processes. It belongs to its thread, whose
// working directory is the supervisor's /proc.
type Injector struct {
	*Accelerator
	hints [nhints]hint
}

// nhints is about how many processes something is remembered.
const nhints = 256

// NewInjector returns an Injector.
func (a *Accelerator) NewInjector() *Injector { return &Injector{Accelerator: a} }

// hint is what is known of a process. It may be about an earlier one with the same number.
type hint struct {
	pid     uint32
	program uint32    // execution.program when it was new
	calls   uint32    // that the code could have answered, since the last attempt
	delay   uint32    // the next attempt is after 2^delay times as many calls as the first
	mapping uint64    // where the code is; 0: nowhere yet
	recent  [4]uint64 // instruction pointers of the last calls
	failed  [8]uint64 // those of call sites that cannot be patched
	nfailed int
}

// maxDelay is the maximum of hint.delay. An attempt that fails, because the process has
// threads for example, must cost little. But threads end, and a thread may execute
// another program in place of the whole process.
const maxDelay = 10

// Call is a notified call of a process on x86-64.
type Call struct {
	Caller
	PID   uint32
	NR    uint32
	After uint64 // its instruction pointer
}

// Caller is the process that makes a Call.
type Caller interface {
	// Waits reports whether the process still waits for the answer.
	Waits() bool
	// IsInitial reports whether the process has the initial identity of the container,
	// and no other one for a thread.
	IsInitial() bool
}

func (i *Injector) hint(pid uint32) *hint {
	h := &i.hints[pid%nhints]
	if program := i.execution(pid).program.Load(); h.pid != pid || h.program != program {
		*h = hint{pid: pid, program: program}
	}
	return h
}

// Counts is called for each call that the code could have answered. After the last of
// them, it changes the code of the process.
func (i *Injector) Counts(c *Call) {
	if i.execution(c.PID).pending(c.PID) {
		return
	}
	h := i.hint(c.PID)
	if h.mapping == 0 && c.After&(pageSize-1) == uint64(i.header.AfterSlow)&(pageSize-1) {
		i.adopt(h, c)
	}
	switch {
	case h.mapping == 0:
		if !h.repeats(c.After, i.after) {
			return
		}
	case c.After-h.mapping < uint64(i.header.Size):
		return // the code could not answer it
	}
	if slices.Contains(h.failed[:h.nfailed], c.After) {
		return
	}
	if err := i.change(h, c); err != nil {
		i.note(h, c, err)
	}
}

// repeats counts a call, and reports whether it is time to give the process the code:
// from so many calls on, at a call site that makes calls again and again.
func (h *hint) repeats(ip uint64, from uint32) bool {
	from <<= h.delay
	h.calls++
	again := slices.Contains(h.recent[:], ip)
	h.recent[h.calls%uint32(len(h.recent))] = ip
	return h.calls >= from && again
}

// adopt notes where the code is in a process that has got it from another supervisor, or
// that has inherited it, if c is a call of the code.
func (i *Injector) adopt(h *hint, c *Call) {
	p, err := open(c.PID, i.header)
	if err != nil {
		return
	}
	defer p.close()
	if mapping := c.After - uint64(i.header.AfterSlow); p.isMapped(mapping) {
		h.mapping = mapping
	}
}

// note notes that the process, or one of its call sites, has not been changed.
func (i *Injector) note(h *hint, c *Call, err error) {
	switch {
	case err == errSite && h.nfailed < len(h.failed):
		h.failed[h.nfailed] = c.After
		h.nfailed++
		return
	case errors.Is(err, errProtected) && c.Waits():
		i.useless.Do(func() {
			slog.Warn("the code of a process cannot be changed, and it is not accelerated",
				"pid", c.PID, "err", err, "remedy", "the kernel's parameter proc_mem.force_override must not restrict writing to /proc/PID/mem")
		})
	}
	slog.Debug("a process is not accelerated now", "pid", c.PID, "err", err)
	h.wait()
}

// wait postpones the next attempt to change the process: to after twice as many calls as
// the last one.
func (h *hint) wait() {
	*h = hint{pid: h.pid, program: h.program, delay: min(h.delay+1, maxDelay)}
}

// change patches the call site of c, or writes a bootstrap.
func (i *Injector) change(h *hint, c *Call) error {
	if i.sharing.Load() != 0 || !c.IsInitial() {
		return errBusy
	}
	p, err := open(c.PID, i.header)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.checkAlone(); err != nil {
		return err
	}
	s, err := p.site(c.After, c.NR)
	if err != nil {
		return err
	}
	if h.mapping == 0 {
		all, err := p.maps()
		if err != nil {
			return err
		}
		for k := range all {
			if all[k].code && p.isMapped(all[k].start) {
				h.mapping = all[k].start
			}
		}
		if h.mapping == 0 {
			return i.start(h, c, p, &s, all)
		}
	}
	if !p.isMapped(h.mapping) {
		*h = hint{pid: h.pid, program: h.program} // of another process
		return nil
	}
	at, err := p.writeSlot(&s, h.mapping)
	if err != nil {
		return err
	}
	return i.redirect(c, p, &s, at)
}

// redirect makes the call site jump to the address to.
func (i *Injector) redirect(c *Call, p *process, s *site, to uint64) error {
	if !c.Waits() {
		return nil // it may be running, or gone
	}
	return p.redirect(s, to)
}

// start writes a bootstrap, and makes the call site jump to it.
func (i *Injector) start(h *hint, c *Call, p *process, s *site, all []mapping) error {
	k := containing(all, s.load)
	if k < 0 {
		return errPlace
	}
	at, err := p.placeBootstrap(all, k)
	if err != nil {
		return err
	}
	mapping, ok := findRoom(all, k, uint64(i.header.Size))
	if !ok {
		return errPlace
	}
	b := bootstrap{at, *s, mapping}
	code, ok := b.make(&i.header)
	if !ok {
		return errPlace
	}
	if err := p.write(at, code[:]); err != nil {
		return err
	}
	if err := i.redirect(c, p, s, at); err != nil {
		return err
	}
	h.wait() // the call site may never make another call, but others may
	return nil
}

// Map answers PrctlMap: it returns a descriptor of the code for the process, whose
// bootstrap is at the address at. The descriptor belongs to the caller. The error is
// ENOSYS if the process shall not have it.
func (i *Injector) Map(c *Call, at uint64) (int, unix.Errno) {
	p, err := open(c.PID, i.header)
	if err != nil {
		return -1, unix.EINVAL // as without a supervisor
	}
	defer p.close()
	b, err := p.bootstrapAt(at)
	if err != nil || c.After-at >= bootstrapSize {
		return -1, unix.EINVAL
	}
	if h := i.hint(c.PID); h.mapping != 0 && p.isMapped(h.mapping) {
		i.enter(h, c, p, &b) // this is another bootstrap
		return -1, unix.EEXIST
	} else {
		h.wait() // unless it maps the code
	}
	// The bootstrap does its work once only, even if mmap fails.
	if err := p.write(at+bootOffAt, []byte{1}); err != nil {
		return -1, unix.ENOSYS
	}
	if i.sharing.Load() != 0 || !c.IsInitial() || p.checkAlone() != nil {
		return -1, unix.ENOSYS
	}
	fd, err := unix.FcntlInt(uintptr(i.code), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, unix.ENOSYS
	}
	return fd, 0
}

// Mapped answers PrctlMapped: the process has mapped the code at the address mapping, and
// its bootstrap is at the address at. The error is EINVAL if that is not so.
func (i *Injector) Mapped(c *Call, mapping, at uint64) unix.Errno {
	p, err := open(c.PID, i.header)
	if err != nil {
		return unix.EINVAL
	}
	defer p.close()
	b, err := p.bootstrapAt(at)
	if err != nil || !p.isMapped(mapping) || c.After-mapping >= uint64(i.header.Size) {
		return unix.EINVAL
	}
	h := i.hint(c.PID)
	h.mapping = mapping
	i.enter(h, c, p, &b)
	return 0
}

// enter makes the call site of a bootstrap jump into the code, which the process has
// mapped.
func (i *Injector) enter(h *hint, c *Call, p *process, b *bootstrap) {
	if i.sharing.Load() != 0 || p.checkAlone() != nil {
		return
	}
	if !p.jumps(&b.site, b.at) {
		return
	}
	slot, err := p.writeSlot(&b.site, h.mapping)
	if err == nil {
		err = i.redirect(c, p, &b.site, slot)
	}
	if err != nil {
		i.note(h, c, err)
	}
}

// Restricts is called before a process restricts its own calls, with a filter of its own,
// which may know nothing of the calls that the code makes.
func (i *Injector) Restricts(c *Call) {
	i.execution(c.PID).forget()
	if err := stop(c.PID, true); err != nil {
		slog.Warn("a process with a seccomp filter of its own may be killed by it", "pid", c.PID, "err", err)
	}
}
