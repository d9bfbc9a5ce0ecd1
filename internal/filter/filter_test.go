package filter

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/syscalls"
)

// What the kernel does with a call.
const (
	allowed  = unix.SECCOMP_RET_ALLOW
	notified = unix.SECCOMP_RET_USER_NOTIF
	refused  = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
)

func verdictName(v uint32) string {
	switch v {
	case allowed:
		return "allowed"
	case notified:
		return "notified"
	case refused:
		return "ENOSYS"
	}
	return fmt.Sprintf("%#x", v)
}

var abiNames = map[syscalls.Arch]string{syscalls.X8664: "x86-64", syscalls.I386: "i386", syscalls.ARM64: "arm64"}

// machine runs the program for a GOARCH.
type machine struct{ *bpf.VM }

func compile(t *testing.T, goarch string) machine {
	t.Helper()
	raw, err := Compile(goarch, syscalls.Rows())
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
	return machine{vm}
}

// run returns the verdict on a call.
//
// The kernel loads the words of struct seccomp_data in the machine's byte order; the
// VM loads them in network byte order. So each word is written in network byte order,
// with the lower word of an argument first.
func (m machine) run(t *testing.T, audit, nr uint32, args ...uint64) uint32 {
	t.Helper()
	var data [64]byte
	binary.BigEndian.PutUint32(data[0:], nr)
	binary.BigEndian.PutUint32(data[4:], audit)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[16+8*i:], uint32(a))
		binary.BigEndian.PutUint32(data[20+8*i:], uint32(a>>32))
	}
	v, err := m.Run(data[:])
	if err != nil {
		t.Fatal(err)
	}
	return uint32(v)
}

// model returns the verdict on a call of an emulated ABI, straight from the table.
func model(t *testing.T, a syscalls.Arch, nr uint32, args []uint64) uint32 {
	t.Helper()
	verdict := uint32(allowed)
	if nr > uint32(a.Highest()) {
		verdict = refused
	}
	for i := range syscalls.Rows() {
		r := &syscalls.Rows()[i]
		if n, ok := r.Number(a); !ok || uint32(n) != nr {
			continue
		}
		switch r.Support {
		case syscalls.Refused:
			verdict = refused
		case syscalls.Emulated:
			if len(r.When) == 0 {
				verdict = notified
			}
			for _, c := range r.When {
				if !slices.ContainsFunc(c, func(t syscalls.ArgTest) bool { return uint32(args[t.Index])&t.Mask != t.Value }) {
					verdict = notified
				}
			}
		}
	}
	return verdict
}

// arguments returns sets of argument values for which the tests of rows differ.
func arguments() [][]uint64 {
	all := func(v uint64) []uint64 { return []uint64{v, v, v, v, v, v} }
	return [][]uint64{
		all(0), all(math.MaxUint64), all(unix.CLONE_NEWNS), all(unix.CLONE_NEWUSER), all(unix.CLONE_NEWNS << 32),
		all(unix.CLONE_NEWNS | unix.CLONE_NEWUSER | 17), all(math.MaxUint64 &^ unix.CLONE_NEWNS),
		{0, unix.CLONE_NEWNS, unix.CLONE_NEWNS, unix.CLONE_NEWNS, 0, 0},
	}
}

func TestVerdicts(t *testing.T) {
	for _, goarch := range []string{"amd64", "arm64"} {
		m := compile(t, goarch)
		arches, err := syscalls.Arches(goarch)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range arches {
			t.Run(goarch+" "+abiNames[a], func(t *testing.T) {
				count := map[uint32]int{}
				for nr := range uint32(601) {
					for _, args := range arguments() {
						got, want := m.run(t, a.Audit(), nr, args...), model(t, a, nr, args)
						if got != want {
							t.Errorf("call %d %#x: %s, want %s", nr, args, verdictName(got), verdictName(want))
						}
						count[want]++
					}
				}
				for _, v := range []uint32{allowed, notified, refused} {
					if count[v] == 0 {
						t.Errorf("no call is %s: the model is wrong", verdictName(v))
					}
				}
			})
		}
	}
}

// A condition with several tests holds if all of them do.
func TestConjunctions(t *testing.T) {
	m, compared := compile(t, "amd64"), 0
	for i := range syscalls.Rows() {
		nr, ok := syscalls.Rows()[i].Number(syscalls.X8664)
		for _, c := range syscalls.Rows()[i].When {
			if !ok || len(c) == 1 {
				continue
			}
			all := make([]uint64, 6)
			for _, test := range c {
				all[test.Index] = uint64(test.Value)
			}
			sets := [][]uint64{all}
			for _, test := range c {
				allButOne := slices.Clone(all)
				allButOne[test.Index] ^= uint64(test.Mask & -test.Mask)
				sets = append(sets, allButOne)
			}
			for _, args := range sets {
				got, want := m.run(t, syscalls.X8664.Audit(), uint32(nr), args...), model(t, syscalls.X8664, uint32(nr), args)
				if got != want {
					t.Errorf("%s %#x: %s, want %s", syscalls.Rows()[i].Name, args, verdictName(got), verdictName(want))
				}
				compared++
			}
		}
	}
	if compared == 0 {
		t.Error("no row has such a condition")
	}
}

// Conditions of one test hold or not, one at a time, each bit of it on its own.
func TestSingleTests(t *testing.T) {
	for _, goarch := range []string{"amd64", "arm64"} {
		m := compile(t, goarch)
		arches, err := syscalls.Arches(goarch)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range arches {
			notifies := map[bool]int{}
			for _, r := range syscalls.Rows() {
				nr, ok := r.Number(a)
				if !ok || len(r.When) == 0 {
					continue
				}
				quiet := make([]uint64, 6) // no condition of one bit holds
				for _, c := range r.When {
					if t := c[0]; len(c) == 1 && t.Mask&(t.Mask-1) == 0 {
						quiet[t.Index] |= uint64(t.Mask &^ t.Value)
					}
				}
				for bit := range 33 { // the last one changes nothing that a condition tests
					for i := range quiet {
						args := slices.Clone(quiet)
						args[i] ^= 1 << bit
						want := model(t, a, uint32(nr), args)
						notifies[want == notified]++
						if got := m.run(t, a.Audit(), uint32(nr), args...); got != want {
							t.Errorf("%s: %s %#x: %s, want %s", abiNames[a], r.Name, args, verdictName(got), verdictName(want))
						}
					}
				}
			}
			if notifies[true] == 0 || notifies[false] == 0 {
				t.Errorf("%s: the conditions are not tested: %v", abiNames[a], notifies)
			}
		}
	}
}

// TestRows repeats some verdicts in numbers, independently of the table.
func TestRows(t *testing.T) {
	const x86, i386, arm64 = unix.AUDIT_ARCH_X86_64, unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_AARCH64
	for _, tt := range []struct {
		name, goarch string
		audit, nr    uint32
		arg0         uint64
		want         uint32
	}{
		{"read", "amd64", x86, 0, 0, allowed},
		{"stat", "amd64", x86, 4, 0, notified},
		{"chown", "amd64", x86, 92, 0, notified},
		{"umask is native", "amd64", x86, 95, 0, allowed},
		{"getuid", "amd64", x86, 102, 0, notified},
		{"prctl(PR_SET_NAME)", "amd64", x86, 157, unix.PR_SET_NAME, allowed},
		{"prctl(PR_SET_KEEPCAPS)", "amd64", x86, 157, unix.PR_SET_KEEPCAPS, notified},
		{"io_uring_setup", "amd64", x86, 425, 0, refused},
		{"unshare of a user namespace", "amd64", x86, 272, unix.CLONE_NEWUSER, notified},
		{"unshare of a mount namespace", "amd64", x86, 272, unix.CLONE_NEWNS | unix.CLONE_NEWUSER, notified},
		{"clone of a thread", "amd64", x86, 56, 0x3d0f00, allowed},
		{"clone with a mount namespace", "amd64", x86, 56, unix.CLONE_NEWNS | 17, notified},
		{"clone, flag in the upper half", "amd64", x86, 56, unix.CLONE_NEWNS << 32, allowed},
		{"clone3 hides its flags", "amd64", x86, 435, 0, notified},
		{"i386 chown", "amd64", i386, 182, 0, notified},
		{"i386 chown32", "amd64", i386, 212, 0, notified},
		{"rseq_slice_yield", "amd64", x86, 471, 0, allowed},
		{"fchroot", "amd64", x86, 472, 0, notified},
		{"a new call", "amd64", x86, 473, 0, refused},
		{"x32's execve without its bit", "amd64", x86, 520, 0, refused},
		{"i386 rseq_slice_yield", "amd64", i386, 471, 0, allowed},
		{"i386 new call", "amd64", i386, 473, 0, refused},
		{"arm64 rseq_slice_yield", "arm64", arm64, 471, 0, allowed},
		{"arm64 new call", "arm64", arm64, 473, 0, refused},
		{"i386 number of x86-64's fchown", "amd64", i386, 93, 0, allowed},
		{"x86-64 number of i386's chown32", "amd64", x86, 212, 0, allowed},
		{"arm64 fchownat", "arm64", arm64, 54, 0, notified},
		{"arm64 read", "arm64", arm64, 63, 0, allowed},
		{"arm64 io_uring_setup", "arm64", arm64, 425, 0, refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := compile(t, tt.goarch).run(t, tt.audit, tt.nr, tt.arg0); got != tt.want {
				t.Errorf("%s, want %s", verdictName(got), verdictName(tt.want))
			}
		})
	}
}

// All calls of ABIs that are not emulated are notified.
func TestOtherABIs(t *testing.T) {
	for _, tt := range []struct {
		name, goarch string
		audit, from  uint32
	}{
		{"x32", "amd64", unix.AUDIT_ARCH_X86_64, syscalls.X32Bit},
		{"above x32", "amd64", unix.AUDIT_ARCH_X86_64, 0x80000000 - 601},
		{"32-bit Arm", "arm64", unix.AUDIT_ARCH_ARM, 0},
		{"x86-64 on Arm", "arm64", unix.AUDIT_ARCH_X86_64, 0},
		{"arm64 on x86", "amd64", unix.AUDIT_ARCH_AARCH64, 0},
		{"zero", "amd64", 0, 0},
		{"all ones", "arm64", math.MaxUint32, 0},
		{"i386 without its flag", "amd64", unix.AUDIT_ARCH_I386 &^ 0x40000000, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := compile(t, tt.goarch)
			for n := range uint32(601) {
				if got := m.run(t, tt.audit, tt.from+n); got != notified {
					t.Fatalf("call %#x: %s, want notified", tt.from+n, verdictName(got))
				}
			}
		})
	}
	m := compile(t, "amd64")
	if got := m.run(t, unix.AUDIT_ARCH_X86_64, syscalls.X32Bit-1); got != refused {
		t.Errorf("the last number below x32 is %s, want ENOSYS", verdictName(got))
	}
}

// Calls with a higher number than the table knows fail with ENOSYS. Negative numbers,
// with which tracers skip calls, do not: the tracer's result must not be replaced.
func TestUnknownNumbers(t *testing.T) {
	for _, tt := range []struct {
		name, goarch string
		abi          syscalls.Arch
		end          uint32 // the first number after the unknown ones
		after        uint32 // the verdict on it
	}{
		{"x86-64", "amd64", syscalls.X8664, syscalls.X32Bit, notified},
		{"i386", "amd64", syscalls.I386, 1 << 31, allowed},
		{"arm64", "arm64", syscalls.ARM64, 1 << 31, allowed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := compile(t, tt.goarch)
			first := uint32(tt.abi.Highest()) + 1
			for nr, want := range map[uint32]uint32{
				first: refused, first + 1: refused, 511: refused, 512: refused, 547: refused, 548: refused, 0xffff: refused,
				0xf0005: refused, tt.end - 1: refused, tt.end: tt.after,
				0x80000000: allowed, math.MaxUint32 - 1: allowed, math.MaxUint32: allowed,
			} {
				if got := m.run(t, tt.abi.Audit(), nr); got != want {
					t.Errorf("call %#x: %s, want %s", nr, verdictName(got), verdictName(want))
				}
			}
		})
	}
}

// The verdict on a call without argument tests may depend on its number only:
// otherwise the kernel's action cache does not work, whose emulator gives up at the
// first load of an argument.
func TestAllowedCallsLoadNoArgument(t *testing.T) {
	for _, goarch := range []string{"amd64", "arm64"} {
		m := compile(t, goarch)
		arches, err := syscalls.Arches(goarch)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range arches {
			tested := map[uint32]bool{}
			for i := range syscalls.Rows() {
				if nr, ok := syscalls.Rows()[i].Number(a); ok && len(syscalls.Rows()[i].When) > 0 {
					tested[uint32(nr)] = true
				}
			}
			for nr := range uint32(601) {
				if tested[nr] {
					continue
				}
				// Without arguments in the packet, the VM stops at such a load and
				// returns 0.
				var data [16]byte
				binary.BigEndian.PutUint32(data[0:], nr)
				binary.BigEndian.PutUint32(data[4:], a.Audit())
				want := model(t, a, nr, nil)
				if got, err := m.Run(data[:]); err != nil || uint32(got) != want {
					t.Errorf("%s call %d: %s, %v; want %s", abiNames[a], nr, verdictName(uint32(got)), err, verdictName(want))
				}
			}
		}
	}
}

// The kernel refuses programs with more than BPF_MAXINSNS instructions, and translates all of them
// whenever a command starts.
func TestSize(t *testing.T) {
	for _, goarch := range []string{"amd64", "arm64"} {
		raw, err := Compile(goarch, syscalls.Rows())
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) == 0 || len(raw) >= 1500 {
			t.Errorf("%s: %d instructions, want fewer than 1500", goarch, len(raw))
		}
	}
}

func TestNoRows(t *testing.T) {
	raw, err := Compile("amd64", nil)
	if err != nil {
		t.Fatal(err)
	}
	prog, _ := bpf.Disassemble(raw)
	vm, err := bpf.NewVM(prog)
	if err != nil {
		t.Fatal(err)
	}
	if got := (machine{vm}).run(t, unix.AUDIT_ARCH_X86_64, 92); got != allowed {
		t.Errorf("without rows, chown is %s", verdictName(got))
	}
}

func TestUnknownArchitecture(t *testing.T) {
	for _, goarch := range []string{"", "386", "arm", "riscv64", "AMD64"} {
		if raw, err := Compile(goarch, syscalls.Rows()); err == nil || raw != nil || !strings.Contains(err.Error(), "not supported") {
			t.Errorf("%q: %d instructions, error %v", goarch, len(raw), err)
		}
	}
}
