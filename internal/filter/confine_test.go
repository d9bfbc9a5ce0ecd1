package filter

import (
	"slices"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/syscalls"
)

// TestDenials runs the program that confines the supervisor on every call.
func TestDenials(t *testing.T) {
	known := map[string]bool{}
	for _, goarch := range []string{"amd64", "arm64"} {
		raw, err := CompileDenials(goarch)
		if err != nil {
			t.Fatal(err)
		}
		prog, ok := bpf.Disassemble(raw)
		if !ok {
			t.Fatal("the program has unknown instructions")
		}
		vm, err := bpf.NewVM(prog)
		if err != nil {
			t.Fatal(err)
		}
		m := machine{vm}
		arches, err := syscalls.Arches(goarch)
		if err != nil {
			t.Fatal(err)
		}
		native := arches[0]
		var denied []uint32
		for _, d := range Denials {
			for _, name := range d.Calls {
				if nr, ok := (&syscalls.Row{Name: name}).Number(native); ok {
					known[name] = true
					denied = append(denied, uint32(nr))
				}
			}
		}
		for nr := range uint32(native.Highest() + 1) {
			want := uint32(allowed)
			if slices.Contains(denied, nr) {
				want = unix.SECCOMP_RET_TRAP
			}
			if got := m.run(t, native.Audit(), nr, unix.PR_SET_DUMPABLE); got != want {
				t.Errorf("%s: call %d: %#x, want %#x", goarch, nr, got, want)
			}
		}
		// What a worker asks the kernel when it starts.
		const all = ^uint64(0)
		syscalls.NewDispatch().LeaveMissing(func(nr int) bool {
			if got := m.run(t, native.Audit(), uint32(nr), all, all, all, all, all, all); got != allowed {
				t.Errorf("%s: probing for call %d: %#x", goarch, nr, got)
			}
			return false
		})
		prctl, _ := (&syscalls.Row{Name: "prctl"}).Number(native)
		for _, c := range []struct {
			what      string
			audit, nr uint32
			want      uint32
		}{
			{"the probe", native.Audit(), uint32(prctl), unix.SECCOMP_RET_ERRNO | uint32(unix.EALREADY)},
			{"an unknown call", native.Audit(), uint32(native.Highest()) + 1, refused},
			{"an x32 call", native.Audit(), syscalls.X32Bit, refused},
			{"a call that a tracer skips", native.Audit(), 1<<32 - 1, allowed},
			{"another ABI", unix.AUDIT_ARCH_ARM, 20, unix.SECCOMP_RET_TRAP},
		} {
			if got := m.run(t, c.audit, c.nr, ConfinedProbe); got != c.want {
				t.Errorf("%s: %s: %#x, want %#x", goarch, c.what, got, c.want)
			}
		}
	}
	for _, d := range Denials {
		for _, name := range d.Calls {
			if !known[name] {
				t.Errorf("no machine has the call %s", name)
			}
		}
	}
	if _, err := CompileDenials("riscv64"); err == nil {
		t.Error("riscv64 is supported")
	}
}
