package filter

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/syscalls"
)

// accelerated returns the program for a container whose processes are accelerated.
func accelerated(t *testing.T, goarch string) machine {
	t.Helper()
	raw, err := CompileTagged(goarch, syscalls.WithAcceleration(syscalls.Rows()), syscalls.TaggedCalls())
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) >= 4096 {
		t.Fatalf("%d instructions, want fewer than 4096", len(raw))
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

// runAt is run for a call whose next instruction is at ip.
func (m machine) runAt(t *testing.T, audit, nr uint32, ip uint64, args [6]uint64) uint32 {
	t.Helper()
	var data [64]byte
	binary.BigEndian.PutUint32(data[0:], nr)
	binary.BigEndian.PutUint32(data[4:], audit)
	for i, v := range append([]uint64{ip}, args[:]...) {
		binary.BigEndian.PutUint32(data[8+8*i:], uint32(v))
		binary.BigEndian.PutUint32(data[12+8*i:], uint32(v>>32))
	}
	v, err := m.Run(data[:])
	if err != nil {
		t.Fatal(err)
	}
	return uint32(v)
}

func number(t *testing.T, name string) uint32 {
	t.Helper()
	nr, ok := (&syscalls.Row{Name: name}).Number(syscalls.X8664)
	if !ok {
		t.Fatalf("there is no %s", name)
	}
	return uint32(nr)
}

const ip = 0x7f12_3456_789a

// Every call in the list is allowed with its tag, and notified with anything else in its place.
func TestTags(t *testing.T) {
	m := accelerated(t, "amd64")
	for _, call := range syscalls.TaggedCalls() {
		t.Run(call.Name, func(t *testing.T) {
			nr := number(t, call.Name)
			set := func(args *[6]uint64, h syscalls.Half, v uint32) {
				if h.Upper {
					args[h.Index] = args[h.Index]&math.MaxUint32 | uint64(v)<<32
				} else {
					args[h.Index] = args[h.Index]&^math.MaxUint32 | uint64(v)
				}
			}
			var others [6]uint64
			for _, o := range call.Only {
				set(&others, o.Half, o.Value)
			}
			withTag := func(tag uint64) [6]uint64 {
				args := others
				set(&args, call.Lower, uint32(tag))
				set(&args, call.Upper, uint32(tag>>32))
				return args
			}
			// What the program says about the call if it has no tag.
			plain := m.runAt(t, unix.AUDIT_ARCH_X86_64, nr, ip, others)
			if got := m.runAt(t, unix.AUDIT_ARCH_X86_64, nr, ip, withTag(ip)); got != allowed {
				t.Errorf("with the tag: %s", verdictName(got))
			}
			for _, tag := range []uint64{0, ip - 1, ip + 1, ip - 2, ip ^ 1<<32, ip ^ 1<<63, ip & math.MaxUint32, ip &^ math.MaxUint32, math.MaxUint64} {
				if got := m.runAt(t, unix.AUDIT_ARCH_X86_64, nr, ip, withTag(tag)); got != plain {
					t.Errorf("with %#x instead of %#x: %s, want %s", tag, ip, verdictName(got), verdictName(plain))
				}
			}
		})
	}
}

// A tag opens nothing else.
func TestTagsOfOtherCalls(t *testing.T) {
	m, without := accelerated(t, "amd64"), compile(t, "amd64")
	var taggable []uint32
	for _, call := range syscalls.TaggedCalls() {
		taggable = append(taggable, number(t, call.Name))
	}
	tagged := [6]uint64{ip &^ math.MaxUint32, 0, ip & math.MaxUint32 << 32, 0, 0, ip}
	for _, audit := range []uint32{unix.AUDIT_ARCH_X86_64, unix.AUDIT_ARCH_I386} {
		for nr := range uint32(601) {
			if audit == unix.AUDIT_ARCH_X86_64 && slices.Contains(taggable, nr) {
				continue
			}
			got, want := m.runAt(t, audit, nr, ip, tagged), without.runAt(t, audit, nr, ip, tagged)
			if got != want {
				t.Errorf("arch %#x call %d: %s, want %s", audit, nr, verdictName(got), verdictName(want))
			}
		}
	}
}

func TestTaggedOpen(t *testing.T) {
	m := accelerated(t, "amd64")
	for flags, want := range map[uint64]uint32{
		0: allowed, unix.O_CLOEXEC | unix.O_DIRECTORY | unix.O_NOFOLLOW: allowed, unix.O_PATH: allowed, unix.O_NONBLOCK: allowed,
		unix.O_WRONLY: allowed, unix.O_RDWR: allowed, unix.O_TRUNC: allowed, unix.O_CREAT | unix.O_EXCL | unix.O_CLOEXEC: allowed,
		unix.O_TMPFILE | unix.O_RDWR: notified,
	} {
		if got := m.runAt(t, unix.AUDIT_ARCH_X86_64, number(t, "openat"), ip, [6]uint64{0, 0, flags, 0, 0, ip}); got != want {
			t.Errorf("openat with %#x: %s, want %s", flags, verdictName(got), verdictName(want))
		}
	}
}

// A tagged chown gives files to root only.
func TestTaggedChown(t *testing.T) {
	m := accelerated(t, "amd64")
	for ids, want := range map[[2]uint64]uint32{
		{0, 0}: allowed, {1, 0}: notified, {0, 1}: notified, {0, math.MaxUint32}: notified, {math.MaxUint32, math.MaxUint32}: notified,
	} {
		if got := m.runAt(t, unix.AUDIT_ARCH_X86_64, number(t, "fchownat"), ip, [6]uint64{0, 0, ids[0], ids[1], 0, ip}); got != want {
			t.Errorf("fchownat to %d: %s, want %s", ids, verdictName(got), verdictName(want))
		}
	}
}

// A tagged fchown gives files to root only, and a tagged fsetxattr writes small new attributes only.
func TestTaggedRecord(t *testing.T) {
	m := accelerated(t, "amd64")
	for _, tt := range []struct {
		name string
		args [6]uint64
		want uint32
	}{
		{"fchown", [6]uint64{3, 0, 0, 0, 0, ip}, allowed},
		{"fchown", [6]uint64{3, 1, 0, 0, 0, ip}, notified},
		{"fchown", [6]uint64{3, 0, math.MaxUint32, 0, 0, ip}, notified},
		{"fsetxattr", [6]uint64{3, 0, 0, 12, unix.XATTR_CREATE, ip}, allowed},
		{"fsetxattr", [6]uint64{3, 0, 0, 12, 0, ip}, notified},
		{"fsetxattr", [6]uint64{3, 0, 0, 12, unix.XATTR_REPLACE, ip}, notified},
		{"fsetxattr", [6]uint64{3, 0, 0, 32, unix.XATTR_CREATE, ip}, notified},
		{"fsetxattr", [6]uint64{3, 0, 0, 1 << 32, unix.XATTR_CREATE, ip}, notified},
		{"fsetxattr", [6]uint64{3, 0, 0, 12, unix.XATTR_CREATE, ip + 1}, notified},
	} {
		if got := m.runAt(t, unix.AUDIT_ARCH_X86_64, number(t, tt.name), ip, tt.args); got != tt.want {
			t.Errorf("%s%d: %s, want %s", tt.name, tt.args, verdictName(got), verdictName(tt.want))
		}
	}
}

// Tasks that share memory without being threads are notified.
func TestSharedMemoryIsNotified(t *testing.T) {
	m := accelerated(t, "amd64")
	for flags, name := range map[uint64]string{
		17:                               "fork",
		0x3d0f00:                         "thread",
		unix.CLONE_VM | 17:               "shared memory",
		unix.CLONE_VM | unix.CLONE_VFORK: "vfork",
		unix.CLONE_VM | unix.CLONE_VFORK | unix.CLONE_PARENT: "a sibling of the process that waits",
	} {
		want := uint32(allowed)
		if syscalls.SharesMemory(flags) {
			want = notified
		}
		if got := m.runAt(t, unix.AUDIT_ARCH_X86_64, number(t, "clone"), ip, [6]uint64{flags}); got != want {
			t.Errorf("%s: %s, want %s", name, verdictName(got), verdictName(want))
		}
	}
}

// Arm has no tagged calls.
func TestNoTagsOnArm(t *testing.T) {
	plain, err := Compile("arm64", syscalls.Rows())
	if err != nil {
		t.Fatal(err)
	}
	tagged, err := CompileTagged("arm64", syscalls.Rows(), syscalls.TaggedCalls())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(plain, tagged) {
		t.Error("tagged calls change the program")
	}
}
