// Package filter compiles the table of system calls to a classic BPF program
// for seccomp(2).
package filter

import (
	"cmp"
	"fmt"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/syscalls"
)

// Offsets in struct seccomp_data.
const (
	offNR   = 0
	offArch = 4
	offArgs = 16
)

var (
	allow  = bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}
	notify = bpf.RetConstant{Val: unix.SECCOMP_RET_USER_NOTIF}
	enosys = bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)}
)

// Compile returns the program for a machine of the given GOARCH.
//
// Calls by an ABI that the table has no numbers for (x32, 32-bit Arm) are all
// notified, so that the supervisor can refuse them with a message; none passes
// unseen. For a call without argument tests the verdict depends on its number
// only, so that the kernel's action cache (Linux 5.11) skips the program for
// every call that is not in the table.
func Compile(goarch string, rows []syscalls.Row) ([]bpf.RawInstruction, error) {
	arches, err := syscalls.Arches(goarch)
	if err != nil {
		return nil, err
	}
	prog := []bpf.Instruction{bpf.LoadAbsolute{Off: offArch, Size: 4}}
	for _, a := range arches {
		section := compileArch(a, rows)
		prog = append(prog,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: a.Audit(), SkipTrue: 1},
			bpf.Jump{Skip: uint32(len(section))})
		prog = append(prog, section...)
	}
	prog = append(prog, notify)
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return nil, fmt.Errorf("assembling the seccomp filter: %w", err)
	}
	return raw, nil
}

// compileArch returns the instructions for one ABI. They always return.
func compileArch(a syscalls.Arch, rows []syscalls.Row) []bpf.Instruction {
	prog := []bpf.Instruction{bpf.LoadAbsolute{Off: offNR, Size: 4}}
	if a == syscalls.X8664 {
		prog = append(prog, bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: syscalls.X32Bit, SkipFalse: 1}, notify)
	}
	var calls []call
	for i := range rows {
		nr, ok := rows[i].Number(a)
		if !ok {
			continue
		}
		if verdict := compileRow(&rows[i]); verdict != nil {
			calls = append(calls, call{uint32(nr), verdict})
		}
	}
	slices.SortFunc(calls, func(x, y call) int { return cmp.Compare(x.nr, y.nr) })
	return append(prog, search(calls)...)
}

// call is a system call and the instructions that decide about it.
type call struct {
	nr      uint32
	verdict []bpf.Instruction
}

// search returns the instructions that find the call whose number has been loaded
// among calls, which are sorted, and allow all others. A notified call pays for each
// comparison: so they halve the calls, instead of going through them.
func search(calls []call) []bpf.Instruction {
	switch len(calls) {
	case 0:
		return []bpf.Instruction{allow}
	case 1:
		c := calls[0]
		prog := append([]bpf.Instruction{bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: c.nr, SkipTrue: uint8(len(c.verdict))}}, c.verdict...)
		return append(prog, allow)
	}
	half := len(calls) / 2
	lower := search(calls[:half])
	prog := append([]bpf.Instruction{
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: calls[half].nr, SkipFalse: 1},
		bpf.Jump{Skip: uint32(len(lower))},
	}, lower...)
	return append(prog, search(calls[half:])...)
}

// compileRow returns the instructions that decide about one system call, or
// nil if the kernel is to execute it unseen.
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
	for _, t := range r.When {
		// Both architectures are little endian: the low half comes first.
		prog = append(prog,
			bpf.LoadAbsolute{Off: offArgs + 8*uint32(t.Index), Size: 4},
			bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: t.Mask},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: t.Value, SkipFalse: 1},
			notify)
	}
	return append(prog, allow)
}
