package supervisor

import (
	"encoding/binary"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/accelerate"
	"github.com/rootless-containers/subuidless/internal/accelerate/blob"
	"github.com/rootless-containers/subuidless/internal/handlers"
	"github.com/rootless-containers/subuidless/internal/syscalls"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// acceleration is what the receivers of a worker share to accelerate processes.
type acceleration struct {
	*accelerate.Accelerator
	concerns [512]concern     // by the number of a call on x86-64
	i386     [512]concernKind // of calls that a process of x86-64 makes as one of i386
}

// concern is why a call concerns package accelerate. The zero value is that it does not.
type concern struct {
	answers *syscalls.Answered // the code in the process may answer it
	kind    concernKind
}

type concernKind uint8

const (
	noConcern concernKind = iota
	executes              // execve and execveat
	options               // prctl
	filters               // seccomp
	clones                // clone
	clones3               // clone3
)

// newAcceleration returns the acceleration of processes that have made so many calls.
// Sharing is that of the journal.
func newAcceleration(after uint32, sharing *atomic.Uint32) (*acceleration, error) {
	a := &acceleration{}
	calls := syscalls.AnsweredCalls()
	for i := range calls {
		answered := &calls[i]
		a.concern(answered.Name).answers = answered
	}
	var answered []uint32
	for nr := range a.concerns {
		if a.concerns[nr].answers != nil {
			answered = append(answered, uint32(nr))
		}
	}
	outer, err := outerFilters()
	if err != nil {
		return nil, err
	}
	shared, err := accelerate.New(after, answered, sharing, outer)
	if err != nil {
		return nil, err
	}
	a.Accelerator = shared
	for name, kind := range map[string]concernKind{
		"execve": executes, "execveat": executes, "prctl": options, "seccomp": filters, "clone": clones, "clone3": clones3,
	} {
		a.concern(name).kind = kind
		a.i386[number(name, syscalls.I386)] = kind
	}
	return a, nil
}

// concern returns the place for the call of this name.
func (a *acceleration) concern(name string) *concern {
	return &a.concerns[number(name, syscalls.X8664)]
}

// number returns the number of the call of this name.
func number(name string, arch syscalls.Arch) int {
	nr, ok := (&syscalls.Row{Name: name}).Number(arch)
	if !ok {
		panic("there is no " + name) // a mistake in the table
	}
	return nr
}

// about returns why a call concerns package accelerate.
func (a *acceleration) about(d *unotify.Data) concern {
	switch nr := uint32(d.NR); {
	case nr >= uint32(len(a.concerns)):
	case d.Arch == unix.AUDIT_ARCH_X86_64:
		return a.concerns[nr]
	case d.Arch == unix.AUDIT_ARCH_I386:
		return concern{kind: a.i386[nr]}
	}
	return concern{}
}

// accelerate is called for each notification. Done is true for the calls of the code in a
// process, which have no handler.
func (r *receiver) accelerate() (result handlers.Result, done bool) {
	d := &r.call.Data
	about := r.worker.acceleration.about(d)
	if about.answers == nil && about.kind == noConcern || r.worker.identities.InRuntime(r.index) {
		return handlers.Result{}, false
	}
	call := accelerate.Call{Caller: r, PID: r.call.PID, NR: uint32(d.NR), After: d.IP, Joined: r.index != 0 || r.worker.cfg.Session != nil}
	switch about.kind {
	case executes:
		r.injector.Executes(call.PID)
	case options:
		switch uint32(d.Args[0]) {
		case blob.PrctlMap:
			fd, e := r.injector.Map(&call, d.Args[1])
			if e != 0 {
				return handlers.Errno(e), true
			}
			return handlers.File(fd, true), true
		case blob.PrctlMapped:
			e := r.injector.Mapped(&call, d.Args[1], d.Args[2])
			if e == 0 {
				r.worker.counters.CountAccelerated()
			}
			return handlers.Errno(e), true
		case unix.PR_SET_SYSCALL_USER_DISPATCH:
			if d.Args[1] != unix.PR_SYS_DISPATCH_OFF {
				r.injector.Dispatches(&call)
			}
		case unix.PR_SET_SECCOMP:
			if restricts(uint32(d.Args[1])-unix.SECCOMP_MODE_STRICT, d.Args[2]) {
				r.injector.Restricts(&call, false)
			}
		}
	case filters:
		if restricts(uint32(d.Args[0]), d.Args[2]) {
			r.injector.Restricts(&call, d.Args[1]&unix.SECCOMP_FILTER_FLAG_TSYNC != 0)
		}
	case clones:
		r.noteSharing(d.Args[0])
	case clones3:
		var flags [8]byte // struct clone_args begins with them
		r.call.Target.Reset(call.PID)
		// If another thread has executed a program meanwhile, that was read from its memory.
		if n, e := r.call.Target.Read(uintptr(d.Args[0]), flags[:]); e == 0 && n == len(flags) && r.Waits() {
			r.noteSharing(binary.NativeEndian.Uint64(flags[:]))
		}
	default:
		switch {
		case r.worker.owners.RefusalsInUse(): // the code takes a file without the attribute for one without a record
			r.injector.Refused(&call)
		case about.answers.Allows(&d.Args):
			r.injector.Counts(&call)
		}
	}
	return handlers.Result{}, false
}

// restricts reports whether seccomp(2) with this operation may restrict the caller. Libseccomp finds out
// what the kernel can do by filters at the address 0, where none is: the kernel refuses these.
func restricts(operation uint32, filter uint64) bool {
	return operation == unix.SECCOMP_SET_MODE_STRICT || operation == unix.SECCOMP_SET_MODE_FILTER && filter != 0
}

// noteSharing notes a call of clone(2) with these flags.
func (r *receiver) noteSharing(flags uint64) {
	if syscalls.SharesMemory(flags) {
		r.worker.acceleration.NoteSharing()
	}
}

// IsInitial implements accelerate.Caller.
func (r *receiver) IsInitial() bool {
	return r.worker.identities.IsInitial(r.call.PID, r)
}
