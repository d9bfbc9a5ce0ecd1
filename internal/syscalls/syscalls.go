// Package syscalls is the table of system calls that subuidless answers or
// refuses. Everything that depends on which calls those are derives from it: the
// seccomp filter (package filter), the rules in an OCI bundle's config.json
// (package bundle), the page docs/syscalls.md, the supervisor's dispatch and the
// lines of --trace.
//
// To add a system call, add a row to the file rows_*.go of its family, as
// described at Row, and a handler to package handlers. CONTRIBUTING.md has all
// the steps.
package syscalls

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
)

//go:generate go run gen.go
//go:generate go test -run TestDocsAreFresh -update .

// Arch is a system call ABI for which the table has numbers.
type Arch int

// The ABIs, in the order of the columns of numbers.
const (
	X8664 Arch = iota
	I386
	ARM64

	arches = iota
)

const absent = -1 // the ABI has no such system call

// X32Bit is the bit that marks the numbers of the x32 ABI, which shares
// AUDIT_ARCH_X86_64 with x86-64: __X32_SYSCALL_BIT of <asm/unistd.h>.
const X32Bit = 0x40000000

// Arches returns the emulated ABIs that a machine of the given GOARCH can run.
// Calls of other ABIs are notified, so that the supervisor can refuse them with a
// message in the log. It fails if goarch is not amd64 or arm64.
func Arches(goarch string) ([]Arch, error) {
	switch goarch {
	case "amd64":
		return []Arch{X8664, I386}, nil
	case "arm64":
		return []Arch{ARM64}, nil
	}
	return nil, fmt.Errorf("architecture %s is not supported: subuidless knows the system call numbers of amd64 and arm64 only", goarch)
}

// Audit returns the AUDIT_ARCH_* constant of a, from <linux/audit.h>.
func (a Arch) Audit() uint32 {
	return [...]uint32{X8664: unix.AUDIT_ARCH_X86_64, I386: unix.AUDIT_ARCH_I386, ARM64: unix.AUDIT_ARCH_AARCH64}[a]
}

// named is a system call with its number for each Arch, or absent.
type named struct {
	name    string
	numbers [arches]int
}

// lookUp returns the system call of this name, or nil if this build knows none, on any
// architecture.
func lookUp(name string) *named {
	i, known := slices.BinarySearchFunc(numbers[:], name, func(n named, name string) int { return strings.Compare(n.name, name) })
	if !known {
		return nil
	}
	return &numbers[i]
}

// Known reports whether this build knows a system call of this name, on any architecture.
func Known(name string) bool { return lookUp(name) != nil }

// Highest returns the highest system call number of a that this build knows. The
// filter refuses higher ones, because a call that nobody has reviewed may bypass
// what other rows enforce.
func (a Arch) Highest() int {
	highest := 0
	for i := range numbers {
		highest = max(highest, numbers[i].numbers[a])
	}
	return highest
}

// Emulates reports whether the call nr of the ABI audit, an AUDIT_ARCH_* constant,
// belongs to an emulated ABI.
func Emulates(audit uint32, nr int32) bool {
	switch audit {
	case unix.AUDIT_ARCH_X86_64:
		return nr&X32Bit == 0
	case unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_AARCH64:
		return true
	}
	return false
}

// Support is the way in which a system call gets its result.
type Support int

const (
	// Emulated calls are notified, and answered by the row's handler, which may
	// still continue: let the kernel execute the call.
	Emulated Support = iota
	// Refused calls fail with ENOSYS, because they would bypass the filter.
	Refused
	// Native calls are executed by the kernel without a notification. Such a row
	// documents that the call has been reviewed, and why the kernel's result is
	// right.
	Native
)

// String returns the word that docs/syscalls.md uses.
func (s Support) String() string {
	return [...]string{"emulated", "refused", "native"}[s]
}

// Row describes one system call on all ABIs. Its numbers come from the name.
//
// # Which calls are notified
//
// When is a list of conditions. A call is notified if at least one of them holds; if
// the list is empty, every call is notified. The handler never sees a call for
// which no condition holds.
//
// A condition is a list of tests, all of which must hold. A test compares some bits of one
// argument: argument & Mask == Value. That is all
// that both classic BPF and libseccomp can evaluate; neither can read the caller's
// memory, so a pointer, and what it points to, cannot be tested. Compare few bits:
// the filter of an OCI runtime also needs rules for the calls that are not
// notified, and libseccomp has no "not equal" for masked values. The complement of
// a test of n bits takes n rules, and the complements of several conditions multiply, unless
// they exclude each other, as those with different values of one argument do.
// It is fine to notify more calls than necessary if programs seldom make them.
//
// # Which calls are notified with --permissions=off
//
// Many calls need an answer only because a restricted caller may lack the
// permission to search, read or write a file. With --permissions=off nobody checks
// that, and such notifications would be a waste. Checks says what remains:
//
//   - ChecksNothing: the row stays as it is.
//   - ChecksOnly: nothing else needs the handler; the call becomes native.
//   - ChecksMore: the handler has other duties, too. WhenUnchecked takes the place
//     of When; its conditions must select the calls that involve those duties.
//
// # A worked example
//
//	{Name: "openat", Handler: handlers.Openat, Args: []Arg{DirFD, Path, Flags, Flags},
//		Checks: ChecksMore, WhenUnchecked: opens(2), Note: "..."}
//
// openat(2) has no When, so every call is notified: any of them may have to fail
// with EACCES. With permissions off, the handler still records the owners of new
// files, and opens devices and /proc/PID/status. So the row is ChecksMore, and
// WhenUnchecked tests the flags, argument 2: opens(2) returns a condition of one bit for
// each of O_WRONLY, O_RDWR, O_CREAT, O_TRUNC and __O_TMPFILE, and one for no flags at
// all. openat(AT_FDCWD, path, O_RDONLY|O_CLOEXEC) matches none of them: it is not
// notified.
type Row struct {
	// Name is the name in the man pages, with its suffix for the 32-bit variants.
	Name string
	// Support says how the call gets its result; the zero value is Emulated.
	Support Support
	// When selects the calls that are notified; empty: all.
	When []Condition
	// Checks says how much of the row serves the permissions of files only.
	Checks Checks
	// WhenUnchecked replaces When with --permissions=off. It is set if, and only
	// if, Checks is ChecksMore.
	WhenUnchecked []Condition
	// WhenBundled replaces When in the config.json of an OCI bundle, if it is not empty:
	// some runtimes make the call themselves when they hand the listener over, and
	// nobody would answer.
	WhenBundled []Condition
	// Handler answers the call. It is set if, and only if, Support is Emulated.
	Handler handlers.Handler
	// I386 answers the call on i386, if its arguments or structures differ there.
	I386 handlers.Handler
	// Serve answers the call in the place of Handler and I386 if the caller serves a file
	// system: see identity.State.Serves. It is nil for calls that are not about files.
	Serve handlers.Handler
	// Args are the types of all arguments, in order. --trace shows them, and the
	// supervisor ignores the registers beyond them. A call without arguments has an
	// empty, but not nil, slice.
	Args []Arg
	// Note explains the row in docs/syscalls.md.
	Note string
}

// Checks says how much of a row serves the permissions of files only: see Row.
type Checks int

const (
	ChecksNothing Checks = iota // the row does not depend on --permissions
	ChecksMore                  // all calls except those of Row.WhenUnchecked
	ChecksOnly                  // all calls
)

// WithoutPermissions returns a copy of rows for --permissions=off: calls that are
// notified only to check the permissions of files become native.
func WithoutPermissions(rows []Row) []Row {
	var kept []Row
	for _, r := range rows {
		switch r.Checks {
		case ChecksOnly:
			r.Support = Native
		case ChecksMore:
			r.When = r.WhenUnchecked
		}
		kept = append(kept, r)
	}
	return kept
}

// Condition is a conjunction of tests of different arguments. It has at least one.
type Condition []ArgTest

// Holds reports whether all tests hold for these arguments.
func (c Condition) Holds(args *[6]uint64) bool {
	for _, t := range c {
		if uint32(args[t.Index])&t.Mask != t.Value {
			return false
		}
	}
	return true
}

// ArgTest is a test of one argument: argument & Mask == Value. The upper 32 bits
// of the argument are ignored.
type ArgTest struct {
	Index       uint // of the argument, 0 to 5
	Mask, Value uint32
}

// Arg is the type of an argument; it decides how --trace shows the value.
type Arg int

// Types of arguments.
const (
	Int   Arg = iota
	FD        // a file descriptor
	DirFD     // a file descriptor, or AT_FDCWD
	Path      // a pointer to a path
	Name      // a pointer to another string, such as the name of an extended attribute
	ID        // a user or group id
	Size
	Flags // shown in hexadecimal
	Ptr   // any other pointer
)

// Number returns the row's system call number on a. Ok is false if a has no such
// call.
func (r *Row) Number(a Arch) (nr int, ok bool) {
	n := lookUp(r.Name)
	if n == nil || n.numbers[a] == absent {
		return 0, false
	}
	return n.numbers[a], true
}

// NameOf returns the name of the system call nr of a, whether there is a row for it or not, or the
// number if this build does not know it.
func NameOf(a Arch, nr int) string {
	for i := range numbers {
		if numbers[i].numbers[a] == nr {
			return numbers[i].name
		}
	}
	return fmt.Sprintf("syscall_%d", nr)
}

// Notifies reports whether the row's conditions select a call with these arguments. A
// notification may arrive for other calls too, because package bundle widens tests
// to save rules.
func (r *Row) Notifies(args *[6]uint64) bool {
	return len(r.When) == 0 || slices.ContainsFunc(r.When, func(c Condition) bool { return c.Holds(args) })
}

// Dispatch is an index of the emulated rows by ABI and system call number.
type Dispatch [arches][maxNR]*Row

// maxNR exceeds every number in the table.
const maxNR = 512

// NewDispatch returns the index of Rows.
func NewDispatch() *Dispatch {
	d := new(Dispatch)
	rows := Rows()
	for i := range rows {
		r := &rows[i]
		if r.Support != Emulated {
			continue
		}
		n := lookUp(r.Name)
		for a, nr := range n.numbers {
			if nr != absent {
				d[a][nr] = r
			}
		}
	}
	return d
}

// lastOfAll is the highest number of a call that every supported kernel has: process_madvise, of Linux
// 5.10. From pidfd_send_signal on, calls have the same numbers in all ABIs.
const lastOfAll = 440

// LeaveMissing makes the kernel itself answer the calls that it lacks: with ENOSYS, before all other
// errors. Lacks reports whether the kernel lacks the call nr.
func (d *Dispatch) LeaveMissing(lacks func(nr int) bool) {
	for nr := lastOfAll + 1; nr < maxNR; nr++ {
		row := d[X8664][nr]
		if row == nil || !lacks(nr) {
			continue
		}
		missing := *row
		missing.Handler, missing.I386, missing.Serve = kernelAnswers, nil, nil
		for a := range d {
			d[a][nr] = &missing
		}
	}
}

func kernelAnswers(*handlers.Call) handlers.Result { return handlers.Continue }

// Lookup returns the row of a notified call and the handler for its ABI. Audit is
// the call's AUDIT_ARCH_* constant. Both results are nil if the call has no
// emulated row; Emulates then reports whether that is because of its ABI.
func (d *Dispatch) Lookup(audit uint32, nr int32) (*Row, handlers.Handler) {
	if uint32(nr) >= maxNR {
		return nil, nil
	}
	var row *Row
	switch audit {
	case unix.AUDIT_ARCH_X86_64:
		row = d[X8664][nr]
	case unix.AUDIT_ARCH_I386:
		if row = d[I386][nr]; row != nil && row.I386 != nil {
			return row, row.I386
		}
	case unix.AUDIT_ARCH_AARCH64:
		row = d[ARM64][nr]
	}
	if row == nil {
		return nil, nil
	}
	return row, row.Handler
}
