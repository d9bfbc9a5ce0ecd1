// Package syscalls is THE table of emulated system calls. Everything that depends
// on which calls those are is made from it: the filter, the OCI seccomp rules,
// docs/syscalls.md, the supervisor's dispatch and the lines of --trace.
//
// A new system call is a new row in the file rows_*.go of its family, and its
// handler in internal/handlers.
package syscalls

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
)

//go:generate go run gen.go
//go:generate go test -run TestDocsAreFresh -update .

// Arch is a system call ABI that the table has numbers for.
type Arch int

// The ABIs, in the order of the columns of numbers.
const (
	X8664 Arch = iota
	I386
	ARM64

	arches = iota
)

const absent = -1 // this ABI has no such system call

// X32Bit marks the system calls of the x32 ABI, which shares its AUDIT_ARCH
// with x86-64.
const X32Bit = 0x40000000

// Arches lists the ABIs that a machine of this GOARCH can run and that are
// emulated. Calls by any other ABI are notified, and refused with a message.
func Arches(goarch string) ([]Arch, error) {
	switch goarch {
	case "amd64":
		return []Arch{X8664, I386}, nil
	case "arm64":
		return []Arch{ARM64}, nil
	}
	return nil, fmt.Errorf("architecture %s is not supported: the table of system calls has numbers for amd64 and arm64", goarch)
}

// Audit returns the AUDIT_ARCH_* constant of a.
func (a Arch) Audit() uint32 {
	return [...]uint32{X8664: unix.AUDIT_ARCH_X86_64, I386: unix.AUDIT_ARCH_I386, ARM64: unix.AUDIT_ARCH_AARCH64}[a]
}

// Emulates tells whether the call nr of the ABI audit belongs to an ABI that is emulated.
func Emulates(audit uint32, nr int32) bool {
	switch audit {
	case unix.AUDIT_ARCH_X86_64:
		return nr&X32Bit == 0
	case unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_AARCH64:
		return true
	}
	return false
}

// Support says who answers a system call.
type Support int

const (
	// Emulated calls are notified, and answered by the row's handler (which
	// may still let the kernel execute the call).
	Emulated Support = iota
	// Refused calls fail with ENOSYS, because they would bypass the filter.
	Refused
	// Native calls are left to the kernel, which does the right thing.
	Native
)

func (s Support) String() string {
	return [...]string{"emulated", "refused", "native"}[s]
}

// Row is one system call.
type Row struct {
	Name          string // as in the man pages; with its suffix for the 32-bit variants
	Support       Support
	When          []ArgTest        // notified only if one of these holds; none: always
	Checks        Checks           // what of it is about permissions of files
	WhenUnchecked []ArgTest        // When, if permissions of files do not matter: of ChecksMore
	Handler       handlers.Handler // answers the call
	I386          handlers.Handler // answers it on i386, if its arguments differ there
	Args          []Arg            // how --trace shows the arguments
	Note          string           // for docs/syscalls.md
}

// Checks says what of a row is needed only to find out whether the caller has the
// permissions of files: see WithoutPermissions.
type Checks int

const (
	ChecksNothing Checks = iota
	ChecksMore           // all calls but those of Row.WhenUnchecked
	ChecksOnly           // all calls
)

// WithoutPermissions returns the rows without what is about permissions of files only: calls that need
// nothing else are native then.
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

// ArgTest is a test that classic BPF and libseccomp can make on one argument:
// argument & Mask == Value.
type ArgTest struct {
	Index       uint // 0 to 5
	Mask, Value uint32
}

// Arg is the type of an argument, for --trace.
type Arg int

// Types of arguments.
const (
	Int Arg = iota
	FD
	DirFD
	Path
	Name // of an extended attribute
	ID
	Size
	Flags // in hexadecimal
	Ptr
)

// Number returns the number of the row's call on a, or false if a has no such call.
func (r *Row) Number(a Arch) (int, bool) {
	n, ok := numbers[r.Name]
	if !ok || n[a] == absent {
		return 0, false
	}
	return n[a], true
}

// Notifies tells whether the row is about a call with these arguments. Others are
// notified too where a rule of package bundle is wider than the row.
func (r *Row) Notifies(args *[6]uint64) bool {
	for _, t := range r.When {
		if uint32(args[t.Index])&t.Mask == t.Value {
			return true
		}
	}
	return len(r.When) == 0
}

// Dispatch is an index of the emulated rows by system call number.
type Dispatch [arches][maxNR]*Row

// maxNR is more than any number in the table.
const maxNR = 512

// NewDispatch returns the index of Rows.
func NewDispatch() *Dispatch {
	d := new(Dispatch)
	for i := range Rows {
		r := &Rows[i]
		if r.Support != Emulated {
			continue
		}
		for a := range Arch(arches) {
			if nr, ok := r.Number(a); ok {
				d[a][nr] = r
			}
		}
	}
	return d
}

// Lookup returns the row of a notified call, or nil if there is none: see Emulates.
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
