package filter

import (
	"slices"

	"golang.org/x/net/bpf"

	"github.com/rootless-containers/subuidless/internal/syscalls"
)

// compileTagged returns the instructions that allow the calls of tagged, if they carry
// their tag, and that otherwise end where the program goes on.
//
// They test the number first. So the kernel's action cache still skips the program for
// calls that are always allowed.
func compileTagged(tagged []syscalls.Tagged) []bpf.Instruction {
	if len(tagged) == 0 {
		return nil
	}
	prog := []bpf.Instruction{loadNR}
	for rest := tagged; len(rest) > 0; {
		// Calls with the same test share it.
		test := compileTag(&rest[0])
		var calls []uint32
		var others []syscalls.Tagged
		for _, t := range rest {
			if !slices.Equal(compileTag(&t), test) {
				others = append(others, t)
			} else if nr, ok := (&syscalls.Row{Name: t.Name}).Number(syscalls.X8664); ok {
				calls = append(calls, uint32(nr))
			}
		}
		rest = others
		for i, nr := range calls {
			// To the test: after the other comparisons, and the jump.
			prog = append(prog, bpf.JumpIf{Cond: bpf.JumpEqual, Val: nr, SkipTrue: uint8(len(calls) - i)})
		}
		prog = append(prog, bpf.Jump{Skip: uint32(len(test))})
		prog = append(prog, test...)
	}
	return prog
}

var loadNR = bpf.LoadAbsolute{Off: offNR, Size: 4}

// compileTag returns the instructions that allow the call t if it carries its tag, and
// otherwise load the number of the call again.
func compileTag(t *syscalls.Tagged) []bpf.Instruction {
	var prog []bpf.Instruction
	for _, o := range t.Only {
		prog = append(prog, loadHalf(o.Half), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: o.Mask}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: o.Value})
	}
	prog = append(prog,
		bpf.LoadAbsolute{Off: offIP, Size: 4}, bpf.TAX{}, loadHalf(t.Lower), bpf.JumpIfX{Cond: bpf.JumpEqual},
		bpf.LoadAbsolute{Off: offIP + 4, Size: 4}, bpf.TAX{}, loadHalf(t.Upper), bpf.JumpIfX{Cond: bpf.JumpEqual},
		allow, loadNR)
	// A test that fails skips everything up to the last instruction.
	for i := range prog {
		skip := uint8(len(prog) - 2 - i)
		switch j := prog[i].(type) {
		case bpf.JumpIf:
			j.SkipFalse = skip
			prog[i] = j
		case bpf.JumpIfX:
			j.SkipFalse = skip
			prog[i] = j
		}
	}
	return prog
}

// loadHalf loads one half of an argument. All ABIs are little-endian: the lower half
// comes first.
func loadHalf(h syscalls.Half) bpf.Instruction {
	offset := offArgs + 8*uint32(h.Index)
	if h.Upper {
		offset += 4
	}
	return bpf.LoadAbsolute{Off: offset, Size: 4}
}
