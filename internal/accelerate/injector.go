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
	return sys.OverwritesConstants()
}

// Accelerator accelerates the processes of one container. Its receivers share it.
type Accelerator struct {
	code    int // descriptor of a memfd with the blob
	header  blob.Header
	after   uint32
	sharing *atomic.Uint32
	outer   int
	useless sync.Once // reports that code cannot be changed

	executions [nhints]execution
	catalog    catalog
	programs   programs
}

// New returns an Accelerator that gives processes the code after so many calls, on a machine for which
// Supported returns no error. Answered has the numbers of the calls that the code may answer. Sharing
// is memory that outlives this worker: not 0 if no code changes in the container, because a task may
// share the memory of another process, or dispatch calls by their addresses, or after StopAll. Outer is
// the number of seccomp filters under which subuidless has been started; they let the supervisor, and
// thus processes, make the calls of the code.
func New(after uint32, answered []uint32, sharing *atomic.Uint32, outer int) (*Accelerator, error) {
	header, _ := blob.ParseHeader(blob.Code())
	code, err := unix.MemfdCreate(memfdName, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	_, err = unix.Write(code, blob.CodeFor(answered))
	if err == nil {
		if e := sys.Seal(code, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE); e != 0 {
			err = e
		}
	}
	if err != nil {
		unix.Close(code)
		return nil, fmt.Errorf("writing the code of accelerated processes: %w", err)
	}
	return &Accelerator{code: code, header: header, after: after, sharing: sharing, outer: outer}, nil
}

// The bits of Accelerator.sharing.
const (
	shares   = 1 << iota // code may be shared, or calls be dispatched
	stopping             // StopAll has begun
	stopped              // StopAll has ended
)

// NoteSharing notes that a task is about to share the memory of another process, without
// being its thread. From then on, no code changes in the container: it is rare, and which
// processes share memory is hard to find out.
func (a *Accelerator) NoteSharing() { a.sharing.Or(shares) }

// Injector is what one receiver knows about processes. It belongs to its thread, whose
// working directory is the supervisor's /proc.
type Injector struct {
	*Accelerator
	hints   [nhints]hint
	learned [16]uint64 // instruction pointers of calls whose sites have been learned in processes with threads
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
	entered uint64    // instruction pointer of the call that a bootstrap is about to make, after its work
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
	// Joined means that the process, or an ancestor, has joined the container, and may have been started
	// under other filters than the supervisor.
	Joined bool
}

// filters returns how many seccomp filters the process of c has, unless it has one of its own.
func (i *Injector) filters(c *Call) int {
	if c.Joined {
		return 1
	}
	return 1 + i.outer
}

// Caller is the process that makes a Call.
type Caller interface {
	// Waits reports whether the process still waits for the answer.
	Waits() bool
	// IsInitial reports whether the process has the initial identity of the container,
	// and no other one for a thread.
	IsInitial() bool
}

// open opens the memory of the process that makes c. It stays that of this process, which waits, or is
// gone: a process with the same number has another one.
func (i *Injector) open(c *Call) (*process, error) {
	p, err := open(c.PID, i.header)
	if err != nil {
		return nil, err
	}
	if !c.Waits() {
		p.close()
		return nil, errGone
	}
	return p, nil
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
	if h.mapping == 0 && i.isFromCode(c) {
		i.adopt(h, c)
	}
	early := false
	switch {
	case c.After == h.entered:
		h.entered = 0
		return // its call site has just been patched
	case h.mapping == 0:
		var now bool
		if early, now = i.isTime(h, c); !now {
			return
		}
	case c.After-h.mapping < uint64(i.header.Size):
		return // the code could not answer it
	}
	if slices.Contains(h.failed[:h.nfailed], c.After) {
		return
	}
	if err := i.change(h, c, early); err != nil {
		i.note(h, c, err)
	}
}

// isFromCode reports whether c may be a call of the code.
func (i *Injector) isFromCode(c *Call) bool {
	return c.After&(pageSize-1) == uint64(i.header.AfterSlow)&(pageSize-1)
}

// isTime counts a call, and reports whether it is time to give the process the code. Early is true if
// it is the first call.
func (i *Injector) isTime(h *hint, c *Call) (early, now bool) {
	if h.calls == 0 && h.delay == 0 && isProcess(c.PID) {
		early = i.begins(c)
	}
	now = h.repeats(c.After, i.after)
	if now && h.delay == 0 {
		if pid, ok := processOf(c.PID); ok {
			if f, ok := executable(pid); ok {
				i.programs.lasts(f, pid)
			}
		}
	}
	return early, early || now
}

// begins reports whether the process of c will probably make many calls. The first receiver of one of
// its calls predicts that, and counts the process. The others know what the first one has predicted.
func (i *Injector) begins(c *Call) (early bool) {
	const predicted = 1 // the lowest bit of x.begun
	x := i.execution(c.PID)
	this := uint64(c.PID)<<32 | uint64(x.program.Load()<<1)
	if last := x.begun.Load(); last&^predicted == this {
		return last&predicted != 0
	}
	f, ok := executable(c.PID)
	if !ok {
		return false
	}
	if i.programs.isNew(f) && i.learnGo(c) {
		i.programs.starts(f)
		early = true
	} else {
		early = i.programs.begins(f)
	}
	if early {
		this |= predicted
	}
	x.begun.Store(this)
	return early
}

// learnGo notes Go's call site of a process that makes its first call, and reports whether it has one.
func (i *Injector) learnGo(c *Call) bool {
	p, err := i.open(c)
	if err != nil {
		return false
	}
	defer p.close()
	all, err := p.maps()
	return err == nil && i.catalog.learnGo(p, all)
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
	p, err := i.open(c)
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

// change patches the call site of c, and others of its file, or writes a bootstrap. If early is true,
// this is the first call of the process, and may be the last one from there.
func (i *Injector) change(h *hint, c *Call, early bool) error {
	if i.sharing.Load() != 0 || !c.IsInitial() {
		return errBusy
	}
	p, err := i.open(c)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.checkAlone(i.filters(c)); err != nil {
		i.learnBusy(c, p)
		return err
	}
	s, err := p.site(c.After, c.NR)
	if err != nil && !early {
		return err
	}
	all, err := p.maps()
	if err != nil {
		return err
	}
	k := containing(all, c.After-syscallSize)
	if k < 0 || !all[k].isText() { // other processes may share it, or the process writes it itself
		return errSite
	}
	if s != nil {
		i.catalog.learn(p, all, k, s)
		if known := i.catalog.sites(p, all, k); !s.isGo() && len(known) > 0 && known[0].isGo() {
			return errSite // on a goroutine's stack
		}
	}
	if h.mapping == 0 {
		for n := range all {
			if all[n].code && p.isMapped(all[n].start) {
				h.mapping = all[n].start
			}
		}
	}
	if h.mapping == 0 {
		from := s
		if early {
			if r, ok := p.returnSite(c.After); ok {
				from = r
			}
		}
		if from == nil || from.isGo() { // that of a forked child, whose parent has threads
			return errSite
		}
		return i.start(h, p, from, all, k)
	}
	if s == nil {
		return errSite
	}
	if !p.isMapped(h.mapping) {
		*h = hint{pid: h.pid, program: h.program} // of another process
		return nil
	}
	slots, err := p.slots(h.mapping)
	if err != nil {
		return err
	}
	return slots.patch(append(i.known(p, all, k), siteIn{*s, k}), all)
}

// learnBusy notes the call site of a process whose code must not change now: in the next one that
// maps the file, it may be patched before there are threads.
func (i *Injector) learnBusy(c *Call, p *process) {
	if slices.Contains(i.learned[:], c.After) {
		return
	}
	i.learned[c.After/2%uint64(len(i.learned))] = c.After
	s, err := p.site(c.After, c.NR)
	if err != nil {
		return
	}
	all, err := p.maps()
	if err != nil {
		return
	}
	if k := containing(all, s.load); k >= 0 {
		i.catalog.learn(p, all, k, s)
	}
}

// start writes a bootstrap, and makes the process jump to it from s: a call site, when that makes the
// next call, or the instruction to which the call returns. It is in the mapping with the index k.
func (i *Injector) start(h *hint, p *process, s *site, all []mapping, k int) error {
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
	edits, err := s.redirect(nil, at)
	if err != nil {
		return err
	}
	if err := p.edit(edits); err != nil {
		return err
	}
	h.wait() // the call site may never make another call, but others may
	return nil
}

// Map answers PrctlMap: it returns a descriptor of the code for the process, whose
// bootstrap is at the address at. The descriptor belongs to the caller. The error is
// ENOSYS if the process shall not have it.
func (i *Injector) Map(c *Call, at uint64) (int, unix.Errno) {
	p, err := i.open(c)
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
	if i.sharing.Load() != 0 || !c.IsInitial() || p.checkAlone(i.filters(c)) != nil {
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
	p, err := i.open(c)
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
	if i.sharing.Load() != 0 || p.checkAlone(i.filters(c)) != nil {
		return
	}
	if !p.jumps(&b.site, b.at) {
		return
	}
	if err := i.patchAll(h, p, b); err != nil {
		i.note(h, c, err)
	}
}

// patchAll makes the call site of a bootstrap jump into the code, or restores the instruction after a
// call, and patches all known call sites.
func (i *Injector) patchAll(h *hint, p *process, b *bootstrap) error {
	slots, err := p.slots(h.mapping)
	if err != nil {
		return err
	}
	all, err := p.maps()
	if err != nil {
		return err
	}
	var sites []siteIn
	if _, returns := comparison(b.site.code); returns {
		if err := p.write(b.site.load, b.site.code[:loadSize]); err != nil {
			return err
		}
	} else if k := containing(all, b.site.load); k >= 0 {
		sites = append(sites, siteIn{b.site, k})
		h.entered = b.site.after()
	}
	for k := range all {
		sites = append(sites, i.known(p, all, k)...)
	}
	if err := slots.patch(sites, all); err != errPlace { // there may be room for the others
		return err
	}
	return nil
}
