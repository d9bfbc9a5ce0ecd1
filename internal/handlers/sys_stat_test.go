package handlers

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

func TestStat(t *testing.T) {
	c := newCaller(t)
	path := c.newFile(owner.ID{UID: 70000, GID: unset})
	b := make([]byte, 256)
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	cwd := unix.AT_FDCWD
	for _, tt := range []struct {
		name string
		h    Handler
		args []any
		want Result
		uid  int // its offset
	}{
		{"stat", StatPath(LayoutNative), []any{path, b}, Result{}, int(unsafe.Offsetof(st.Uid))},
		{"fstat", StatFD(LayoutNative), []any{fd, b}, Result{}, int(unsafe.Offsetof(st.Uid))},
		{"newfstatat", StatAt(LayoutNative), []any{cwd, path, b, 0}, Result{}, int(unsafe.Offsetof(st.Uid))},
		{"newfstatat, empty path", StatAt(LayoutNative), []any{fd, "", b, unix.AT_EMPTY_PATH}, Result{}, int(unsafe.Offsetof(st.Uid))},
		{"stat64", StatPath(LayoutI386Stat64), []any{path, b}, Result{}, 24},
		{"statx", Statx, []any{cwd, path, 0, unix.STATX_UID, b}, Result{}, 20},
		{"unknown flag", StatAt(LayoutNative), []any{cwd, path, b, 1}, Continue, 0},
		{"statx, unknown flag", Statx, []any{cwd, path, 1, 0, b}, Continue, 0},
		{"missing", StatPath(LayoutNative), []any{path + ".none", b}, Continue, 0},
		{"no owner recorded", StatPath(LayoutNative), []any{"/", b}, Continue, 0},
		{"bad descriptor", StatFD(LayoutNative), []any{-1, b}, Continue, 0},
		{"bad path", StatPath(LayoutNative), []any{8, b}, Continue, 0},
		{"bad buffer", StatPath(LayoutNative), []any{path, 8}, Errno(unix.EFAULT), 0},
	} {
		clear(b)
		if got := c.do(tt.h, tt.args...); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		} else if got == (Result{}) && le.Uint32(b[tt.uid:]) != 70000 {
			t.Errorf("%s: uid %d, want 70000", tt.name, le.Uint32(b[tt.uid:]))
		} else if got == (Result{}) && le.Uint32(b[tt.uid+4:]) != st.Gid {
			t.Errorf("%s: gid %d, want the kernel's, %d", tt.name, le.Uint32(b[tt.uid+4:]), st.Gid)
		}
	}
}

func TestStatAllocatesNothing(t *testing.T) {
	c := newCaller(t)
	owned := c.newFile(owner.ID{UID: 1, GID: 1})
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(plain, link); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, statSize)
	handlers := map[string]Handler{"stat": StatPath(LayoutNative), "lstat": LstatPath(LayoutNative)}
	for name, h := range handlers {
		for file, path := range map[string]string{"recorded": owned, "not recorded": plain, "missing": plain + ".none", "symlink": link} {
			c.do(h, path, b) // leaves the arguments in place
			p := fmt.Append(nil, path, "\x00")
			c.call.Data.Args[0] = uint64(uintptr(unsafe.Pointer(&p[0])))
			if n := testing.AllocsPerRun(100, func() { h(&c.call) }); n != 0 {
				t.Errorf("%s, %s: %v allocations, want none", name, file, n)
			}
		}
	}
}

// While the supervisor cannot open the file, it cannot know its owner, and the kernel must not show
// its own.
func TestStatWithoutDescriptors(t *testing.T) {
	c := newCaller(t)
	path := c.newFile(owner.ID{UID: 70000, GID: 70001})
	b := make([]byte, 256)
	var old, none unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	none.Max = old.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	stat := c.do(StatPath(LayoutNative), path, b)
	statx := c.do(Statx, unix.AT_FDCWD, path, 0, unix.STATX_UID, b)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if stat != Errno(unix.ENOMEM) || statx != Errno(unix.ENOMEM) {
		t.Errorf("stat: %+v, statx: %+v, want ENOMEM", stat, statx)
	}
}
