package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
	"github.com/rootless-containers/subuidless/internal/syscalls"
	"github.com/rootless-containers/subuidless/internal/target"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// pointer returns the address of a string in the test's own memory: the test is its own
// target.
func pointer(t *testing.T, s string) uint64 {
	t.Helper()
	b := append([]byte(s), 0)
	var pinner runtime.Pinner
	pinner.Pin(&b[0])
	t.Cleanup(pinner.Unpin)
	return uint64(uintptr(unsafe.Pointer(&b[0])))
}

// Lines look like those of strace(1).
func TestAppendCall(t *testing.T) {
	const minusOne, cwd = ^uint64(0), uint64(0xffffff9c)
	row := func(name string, args ...syscalls.Arg) *syscalls.Row { return &syscalls.Row{Name: name, Args: args} }
	p := func(s string) uint64 { return pointer(t, s) }
	tooLong := p(strings.Repeat("x", 4096))
	for _, tt := range []struct {
		name string
		row  *syscalls.Row
		args []uint64
		want string
	}{
		{"ids", row("chown", syscalls.Path, syscalls.ID, syscalls.ID), []uint64{p("foo"), 42, 0}, `chown("foo", 42, 0)`},
		{"-1 of 32 bits", row("f", syscalls.ID, syscalls.ID), []uint64{0xffffffff, 0}, `f(-1, 0)`},
		{"-1 of 64 bits", row("f", syscalls.ID, syscalls.FD), []uint64{minusOne, minusOne}, `f(-1, -1)`},
		{"the largest id", row("f", syscalls.ID, syscalls.ID), []uint64{4294967294, 1 << 31}, `f(4294967294, 2147483648)`},
		{"the upper half is ignored", row("f", syscalls.ID), []uint64{7<<32 | 42}, `f(42)`},
		{"empty path", row("f", syscalls.Path), []uint64{p("")}, `f("")`},
		{"path with a quote", row("f", syscalls.Path), []uint64{p("a\"b\\c\nd")}, `f("a\"b\\c\nd")`},
		{"path that is not UTF-8", row("f", syscalls.Path), []uint64{p("a\xff\x1b")}, `f("a\xff\x1b")`},
		{"longest path", row("f", syscalls.Path), []uint64{p(strings.Repeat("x", 4095))}, `f("` + strings.Repeat("x", 4095) + `")`},
		{"path that is too long", row("f", syscalls.Int, syscalls.Path), []uint64{0, tooLong}, fmt.Sprintf("f(0, %#x)", tooLong)},
		{"unreadable path", row("f", syscalls.Path), []uint64{0xdead0}, `f(0xdead0)`},
		{"NULL path", row("f", syscalls.Path), []uint64{0}, `f(0x0)`},
		{"name", row("f", syscalls.Name), []uint64{p("user.a")}, `f("user.a")`},
		{"dirfd", row("f", syscalls.DirFD, syscalls.DirFD, syscalls.DirFD), []uint64{cwd, 7, minusOne}, `f(AT_FDCWD, 7, -1)`},
		{"dirfd of 64 bits", row("f", syscalls.DirFD), []uint64{minusOne - 99}, `f(AT_FDCWD)`},
		{"size", row("f", syscalls.Size), []uint64{1 << 40}, `f(1099511627776)`},
		{"flags", row("f", syscalls.Flags), []uint64{0x1100}, `f(0x1100)`},
		{"pointer", row("f", syscalls.Ptr), []uint64{0x7fff00001234}, `f(0x7fff00001234)`},
		{"no arguments", row("f"), nil, `f()`},
	} {
		n := &unotify.Notif{PID: 1234}
		copy(n.Data.Args[:], tt.args)
		c := &handlers.Call{Notif: n, Target: &target.Task{TID: uint32(os.Getpid())}}
		if got, want := string(appendCall([]byte("> "), tt.row, c)), "> 1234 "+tt.want; got != want {
			t.Errorf("%s: %s, want %s", tt.name, got, want)
		}
	}
	unknown := &handlers.Call{Notif: &unotify.Notif{PID: 7, Data: unotify.Data{NR: 0x40000000 | 92, Arch: unix.AUDIT_ARCH_X86_64}}}
	if got, want := string(appendCall(nil, nil, unknown)), "7 syscall_0x4000005c(arch 0xc000003e)"; got != want {
		t.Errorf("unknown: %s, want %s", got, want)
	}
}

func TestAppendResult(t *testing.T) {
	for _, tt := range []struct {
		result handlers.Result
		d      time.Duration
		want   string
	}{
		{handlers.Result{}, 7 * time.Microsecond, " = 0 <7us>\n"},
		{handlers.Return(42), 1999 * time.Nanosecond, " = 42 <1us>\n"},
		{handlers.Continue, 0, " = (kernel) <0us>\n"},
		{handlers.Errno(unix.EPERM), time.Second, " = -1 EPERM <1000000us>\n"},
		{handlers.Errno(unix.ENODATA), 0, " = -1 ENODATA <0us>\n"},
	} {
		if got := string(appendResult([]byte("x"), tt.result, tt.d)); got != "x"+tt.want {
			t.Errorf("%+v: %q, want %q", tt.result, got, tt.want)
		}
	}
}

// Several containers append to one file, without mixing lines.
func TestTraceAppends(t *testing.T) {
	name := filepath.Join(t.TempDir(), "trace")
	for i := range 3 {
		tr, err := openTrace(name)
		if err != nil {
			t.Fatal(err)
		}
		tr.write(fmt.Appendf(nil, "line %d\n", i))
		unix.Close(tr.fd)
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != "line 0\nline 1\nline 2\n" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := openTrace(filepath.Join(name, "below")); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("a file that cannot be created: %v", err)
	}
}

// The socket's name is a file name that fits into an address, and different containers
// have different names.
func TestSocketName(t *testing.T) {
	long := strings.Repeat("a", 200)
	ids := []string{
		"c1", "C1", "c1 ", "a/b", "a%2Fb", "a%2fb", "../../etc/passwd", "a\x00b", "ü", "\xff", "x.y-z_1", "-", "...", "..a",
		strings.Repeat("a", 79), strings.Repeat("a", 80), strings.Repeat("a", 81), long, long + "b", long + "c", "b" + long,
		strings.Repeat("/", 40), strings.Repeat("/", 41), strings.Repeat("☃", 30), strings.Repeat("☃", 31),
	}
	seen := map[string]string{}
	for _, id := range ids {
		name := (&Config{ID: id}).socketName()
		if name == "" || len(name) > maxSocketName || strings.ContainsAny(name, "/\x00") {
			t.Errorf("%.20q: name %q of %d bytes", id, name, len(name))
		}
		if other, ok := seen[name]; ok {
			t.Errorf("%.20q and %.20q have the same name %q", id, other, name)
		}
		seen[name] = id
	}
}

// A container may have one of these names, which are directories.
func TestSocketNameIsNoDirectory(t *testing.T) {
	for _, id := range []string{"", ".", ".."} {
		if name := (&Config{ID: id}).socketName(); name == "" || name == "." || name == ".." {
			t.Errorf("%q: the name is %q", id, name)
		}
	}
}
