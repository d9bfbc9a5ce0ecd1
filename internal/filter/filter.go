// Package filter compiles the table of system calls (package syscalls) to the
// classic BPF program that subuidless exec and run give to seccomp(2). Containers of
// OCI runtimes get the same rules through package bundle and libseccomp.
package filter

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/syscalls"
)

// Offsets in struct seccomp_data.
const (
	offNR   = 0
	offArch = 4
	offIP   = 8
	offArgs = 16
)

var (
	allow  = bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}
	notify = bpf.RetConstant{Val: unix.SECCOMP_RET_USER_NOTIF}
	enosys = bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)}
)

// Compile returns the program for rows on a machine of the given GOARCH. It fails if
// goarch is not supported: see syscalls.Arches.
//
// No call bypasses the program:
//
//   - Calls of an ABI that is not emulated (x32, 32-bit Arm) are notified, so that
//     the supervisor can refuse them with a message in the log.
//   - Calls with a higher number than syscalls knows fail with ENOSYS, as on a kernel
//     that does not have them; container runtimes do the same.
//
// The verdict on a call without argument tests depends on its number only. So the
// kernel's action cache (Linux 5.11) skips the program for every call that is
// allowed.
func Compile(goarch string, rows []syscalls.Row) ([]bpf.RawInstruction, error) {
	return CompileTagged(goarch, rows, nil)
}

// CompileTagged is Compile for a program that also allows the calls of tagged, if they carry
// their tag. Their numbers are known to rows.
func CompileTagged(goarch string, rows []syscalls.Row, tagged []syscalls.Tagged) ([]bpf.RawInstruction, error) {
	arches, err := syscalls.Arches(goarch)
	if err != nil {
		return nil, err
	}
	decisions := decide(rows)
	prog := append(make([]bpf.Instruction, 0, unix.BPF_MAXINSNS), bpf.LoadAbsolute{Off: offArch, Size: 4})
	for _, a := range arches {
		prog = append(prog, bpf.JumpIf{Cond: bpf.JumpEqual, Val: a.Audit(), SkipTrue: 1}, nil)
		section := len(prog)
		if a == syscalls.X8664 {
			prog = append(prog, compileTagged(tagged)...)
		}
		prog = appendArch(prog, a, decisions)
		prog[section-1] = bpf.Jump{Skip: uint32(len(prog) - section)}
	}
	prog = append(prog, notify)
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return nil, fmt.Errorf("assembling the seccomp filter: %w", err)
	}
	return raw, nil
}

// decision is a row whose calls are not always allowed, and the instructions that decide about them.
type decision struct {
	row     *syscalls.Row
	verdict []bpf.Instruction
}

// decide returns the decisions about rows, which are the same for each ABI.
func decide(rows []syscalls.Row) []decision {
	decisions := make([]decision, 0, len(rows))
	for i := range rows {
		if verdict := compileRow(&rows[i]); verdict != nil {
			decisions = append(decisions, decision{&rows[i], verdict})
		}
	}
	return decisions
}

// appendArch appends the instructions for one ABI. Each path through them ends in a
// verdict.
func appendArch(prog []bpf.Instruction, a syscalls.Arch, decisions []decision) []bpf.Instruction {
	calls := make([]call, 0, len(decisions))
	for _, d := range decisions {
		if nr, ok := d.row.Number(a); ok {
			calls = append(calls, call{uint32(nr), d.verdict})
		}
	}
	slices.SortFunc(calls, func(x, y call) int { return cmp.Compare(x.nr, y.nr) })
	return appendSearch(append(prog, bpf.LoadAbsolute{Off: offNR, Size: 4}), calls, compileRest(a))
}

// compileRest returns the instructions that decide about calls above the last row. Only
// those calls pay for the comparisons.
//
// On x86-64, numbers with the x32 bit belong to another ABI. So do, on old kernels,
// the numbers from 512 to 547 without it.
//
// Negative numbers belong to no ABI. They come from tracers, which set the number to -1
// to skip a call. They are allowed: another verdict would replace the result that the
// tracer has set.
func compileRest(a syscalls.Arch) []bpf.Instruction {
	rest := []bpf.Instruction{
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: uint32(a.Highest()), SkipTrue: 1}, allow,
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: firstNegative, SkipFalse: 1}, allow,
	}
	if a == syscalls.X8664 {
		rest = append(rest, bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: syscalls.X32Bit, SkipFalse: 1}, notify)
	}
	return append(rest, enosys)
}

// firstNegative is the lowest number that is negative as an int.
const firstNegative = 1 << 31

// call is a system call and the instructions that decide about it.
type call struct {
	nr      uint32
	verdict []bpf.Instruction
}

// appendSearch appends the instructions that look up the number that has been loaded in
// calls, which are sorted. They allow other numbers below the last of calls, and
// leave those above it to rest.
func appendSearch(prog []bpf.Instruction, calls []call, rest []bpf.Instruction) []bpf.Instruction {
	return appendRanges(prog, ranges(calls, rest))
}

// ranges returns the verdicts on all numbers, each with the first number to which it applies. Neighbours
// have different ones: the kernel translates each instruction whenever a command starts.
func ranges(calls []call, rest []bpf.Instruction) []call {
	all := []call{{0, []bpf.Instruction{allow}}}
	add := func(c call) {
		last := &all[len(all)-1]
		switch {
		case slices.Equal(last.verdict, c.verdict):
		case last.nr == c.nr:
			last.verdict = c.verdict
		default:
			all = append(all, c)
		}
	}
	next := uint32(0)
	for _, c := range calls {
		if c.nr > next {
			add(call{next, []bpf.Instruction{allow}})
		}
		add(c)
		next = c.nr + 1
	}
	add(call{next, rest})
	return all
}

// appendRanges appends the instructions that look up the number that has been loaded in all. It is a
// binary search, because a notified call pays for each comparison.
func appendRanges(prog []bpf.Instruction, all []call) []bpf.Instruction {
	if len(all) == 1 {
		return append(prog, all[0].verdict...)
	}
	half := len(all) / 2
	start := len(prog)
	prog = appendRanges(append(prog, nil), all[:half])
	compare := bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: all[half].nr}
	if skip := len(prog) - start - 1; skip <= math.MaxUint8 {
		compare.SkipTrue = uint8(skip)
	} else {
		compare.SkipFalse = 1
		prog = slices.Insert(prog, start+1, bpf.Instruction(bpf.Jump{Skip: uint32(skip)}))
	}
	prog[start] = compare
	return appendRanges(prog, all[half:])
}

// compileRow returns the instructions that decide about one system call, or nil if
// it is always allowed.
func compileRow(r *syscalls.Row) []bpf.Instruction {
	switch r.Support {
	case syscalls.Refused:
		return []bpf.Instruction{enosys}
	case syscalls.Emulated:
	default:
		return nil
	}
	if len(r.When) == 0 {
		return []bpf.Instruction{notify}
	}
	var prog []bpf.Instruction
	// Of each argument, the bits that conditions of one bit test, and the values for which none of them
	// holds: one comparison decides about all.
	var none [6]syscalls.ArgTest
	for _, c := range r.When {
		if t := c[0]; len(c) == 1 && isBit(t.Mask) && none[t.Index].Mask&t.Mask == 0 {
			none[t.Index].Mask |= t.Mask
			none[t.Index].Value |= t.Mask &^ t.Value
			continue
		}
		prog = append(prog, compileCondition(c)...)
	}
	for i, t := range none {
		if t.Mask != 0 {
			prog = append(prog, load(uint(i)), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: t.Mask}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: t.Value, SkipTrue: 1}, notify)
		}
	}
	return append(prog, allow)
}

func isBit(mask uint32) bool { return bits.OnesCount32(mask) == 1 }

// load loads the lower half of an argument. All ABIs are little-endian: it comes first.
func load(argument uint) bpf.Instruction {
	return bpf.LoadAbsolute{Off: offArgs + 8*uint32(argument), Size: 4}
}

// compileCondition returns instructions that notify the call if c holds, and otherwise lead behind
// the last one.
func compileCondition(c syscalls.Condition) []bpf.Instruction {
	prog := []bpf.Instruction{notify}
	for _, t := range slices.Backward(c) {
		test := []bpf.Instruction{load(t.Index)}
		if t.Mask != math.MaxUint32 {
			test = append(test, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: t.Mask})
		}
		test = append(test, bpf.JumpIf{Cond: bpf.JumpEqual, Val: t.Value, SkipFalse: uint8(len(prog))})
		prog = append(test, prog...)
	}
	return prog
}
