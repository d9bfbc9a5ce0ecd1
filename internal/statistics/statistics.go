// Package statistics counts the notifications of a container, in memory that the worker shares with
// everybody who wants to see the counts: subuidless top and --trace-summary.
//
// The counters are at the end of the journal, a memfd that outlives the worker. Its receivers add to
// them with atomic instructions, without a lock and without allocating. Readers get the file from
// the keeper, and map it read-only.
package statistics

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// numbers exceeds the number of every system call.
const numbers = 512

// Call is a system call.
type Call struct {
	I386   bool // of the 32-bit ABI of x86-64; otherwise of the machine's own
	Number int
}

// Counts are the notifications of a call.
type Counts struct {
	Calls  uint64 // answered
	Errors uint64 // answered with an error
	Kernel uint64 // left to the kernel, so that nobody here knows whether they have failed
	// Timed are those whose handling has been timed, and Time how long it took in all: from when the
	// supervisor received the notification until it had an answer.
	Timed uint64
	Time  time.Duration
}

// Mean returns the mean time of a call, or 0 if none has been timed.
func (c Counts) Mean() time.Duration {
	if c.Timed == 0 {
		return 0
	}
	return c.Time / time.Duration(c.Timed)
}

// Total returns the time of all calls, which is an estimate if only some have been timed.
func (c Counts) Total() time.Duration {
	if c.Timed == 0 {
		return 0
	}
	return time.Duration(float64(c.Time) / float64(c.Timed) * float64(c.Calls))
}

// Add returns the sum of c and d.
func (c Counts) Add(d Counts) Counts {
	return Counts{c.Calls + d.Calls, c.Errors + d.Errors, c.Kernel + d.Kernel, c.Timed + d.Timed, c.Time + d.Time}
}

// Sub returns what has been counted since d.
func (c Counts) Sub(d Counts) Counts {
	return Counts{c.Calls - d.Calls, c.Errors - d.Errors, c.Kernel - d.Kernel, c.Timed - d.Timed, c.Time - d.Time}
}

// Facts are what the supervisor says about its container.
type Facts struct {
	Started    time.Time
	Session    bool // of container engines
	Accelerate bool // processes may answer calls themselves, which are not counted
}

// counter is a Counts in shared memory.
type counter struct {
	calls, errors, kernel, timed, nanoseconds atomic.Uint64
}

// Counters are the counters of a container, in shared memory.
type Counters struct {
	layout      atomic.Uint64 // currentLayout
	started     atomic.Int64  // in nanoseconds since 1970
	session     atomic.Bool
	accelerate  atomic.Bool
	accelerated atomic.Uint64
	calls       [2 * numbers]counter
}

// currentLayout identifies the layout of Counters: a program of another version may look at them.
// Its last byte changes with the layout.
const currentLayout = 0x7375_6964_6c65_7301

// Size is the size of the counters in bytes: a multiple of the page size of all architectures.
const Size = (int64(unsafe.Sizeof(Counters{})) + 64<<10 - 1) &^ (64<<10 - 1)

// Map maps the counters in the file fd at an offset, to count. Facts are those of the container;
// the time of the first call of Map stays.
func Map(fd int, offset int64, f Facts) (*Counters, error) {
	m, err := unix.Mmap(fd, offset, int(Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap the counters: %w", err)
	}
	c := (*Counters)(unsafe.Pointer(&m[0]))
	c.started.CompareAndSwap(0, f.Started.UnixNano())
	c.session.Store(f.Session)
	c.accelerate.Store(f.Accelerate)
	c.layout.Store(currentLayout)
	return c, nil
}

// Count counts a notification. Failed means that the answer is an error, and kernel that the kernel
// executes the call. Time is how long its handling took; 0: not timed.
func (c *Counters) Count(call Call, failed, kernel bool, time time.Duration) {
	i := call.Number
	if i < 0 || i >= numbers {
		return // there is no such call
	}
	if call.I386 {
		i += numbers
	}
	n := &c.calls[i]
	n.calls.Add(1)
	if failed {
		n.errors.Add(1)
	}
	if kernel {
		n.kernel.Add(1)
	}
	if time > 0 {
		n.timed.Add(1)
		n.nanoseconds.Add(uint64(time))
	}
}

// CountAccelerated counts a process that answers calls itself from now on.
func (c *Counters) CountAccelerated() { c.accelerated.Add(1) }

// Snapshot are the counters of a container at one time.
type Snapshot struct {
	Facts
	Accelerated uint64          // processes that have been accelerated, including those that have ended
	Calls       map[Call]Counts // without calls that there were none of
}

// Since returns what has been counted since an earlier snapshot of the same counters.
func (s Snapshot) Since(earlier Snapshot) Snapshot {
	calls := map[Call]Counts{}
	for call, n := range s.Calls {
		if n = n.Sub(earlier.Calls[call]); n.Calls > 0 {
			calls[call] = n
		}
	}
	s.Accelerated -= earlier.Accelerated
	s.Calls = calls
	return s
}

// Reader reads the counters of a container.
type Reader struct {
	Description
	Keeper   int // process id
	memory   []byte
	counters *Counters
}

// ErrNoCounters means that a process has no counters: it is not a keeper, or one of a version of
// subuidless that counts otherwise.
var ErrNoCounters = errors.New("the process has no counters that this version of subuidless knows")

// open opens the counters at the end of the file fd.
func open(fd int) (*Reader, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, os.NewSyscallError("fstat", err)
	}
	offset := st.Size - Size
	if offset < 0 || offset%int64(os.Getpagesize()) != 0 {
		return nil, ErrNoCounters
	}
	m, err := unix.Mmap(fd, offset, int(Size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap the counters: %w", err)
	}
	r := &Reader{memory: m, counters: (*Counters)(unsafe.Pointer(&m[0]))}
	if r.counters.layout.Load() != currentLayout {
		r.Close()
		return nil, ErrNoCounters
	}
	return r, nil
}

// Close releases the counters.
func (r *Reader) Close() {
	_ = unix.Munmap(r.memory) // it has been mapped
	r.memory, r.counters = nil, nil
}

// Read returns what has been counted.
func (r *Reader) Read() Snapshot {
	c := r.counters
	s := Snapshot{
		Facts:       Facts{Started: time.Unix(0, c.started.Load()), Session: c.session.Load(), Accelerate: c.accelerate.Load()},
		Accelerated: c.accelerated.Load(), Calls: map[Call]Counts{},
	}
	for i := range c.calls {
		n := &c.calls[i]
		if calls := n.calls.Load(); calls > 0 {
			s.Calls[Call{i >= numbers, i % numbers}] = Counts{calls, n.errors.Load(), n.kernel.Load(), n.timed.Load(), time.Duration(n.nanoseconds.Load())}
		}
	}
	return s
}
