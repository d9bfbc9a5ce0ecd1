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

const unset = owner.Noop

// stat returns the owner that the container sees, with Continue answered by the
// kernel.
func (c *caller) stat(path string) owner.ID {
	c.t.Helper()
	b := make([]byte, statSize)
	st := (*unix.Stat_t)(unsafe.Pointer(&b[0]))
	switch r := c.do(LstatPath(LayoutNative), path, b); {
	case r == Continue:
		if err := unix.Lstat(path, st); err != nil {
			c.t.Fatal(err)
		}
	case r != Result{}:
		c.t.Fatalf("lstat: %+v", r)
	}
	return owner.ID{UID: st.Uid, GID: st.Gid}
}

// chown(2): "If the owner or group is specified as -1, then that ID is not
// changed."
func TestChown(t *testing.T) {
	for _, kind := range []string{"file", "directory", "symlink", "FIFO"} {
		c := newCaller(t)
		path := filepath.Join(t.TempDir(), kind)
		var err error
		switch kind {
		case "file":
			err = os.WriteFile(path, nil, 0o600)
		case "directory":
			err = os.Mkdir(path, 0o700)
		case "symlink":
			err = os.Symlink("none", path)
		case "FIFO":
			err = unix.Mkfifo(path, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct{ to, want owner.ID }{
			{owner.ID{UID: unset, GID: unset}, owner.ID{}},
			{owner.ID{UID: unset, GID: 43}, owner.ID{GID: 43}},
			{owner.ID{UID: 42, GID: unset}, owner.ID{UID: 42, GID: 43}},
			{owner.ID{UID: unset, GID: unset}, owner.ID{UID: 42, GID: 43}},
			{owner.ID{UID: unset, GID: 0}, owner.ID{UID: 42}},
			{owner.ID{UID: 65534, GID: unset - 1}, owner.ID{UID: 65534, GID: unset - 1}},
			{owner.ID{}, owner.ID{}},
		} {
			if r := c.do(Lchown, path, int(tt.to.UID), int(tt.to.GID)); r != (Result{}) {
				t.Errorf("%s: lchown to %v: %+v", kind, tt.to, r)
			}
			if got := c.stat(path); got != tt.want {
				t.Errorf("%s: after lchown to %v: %v, want %v", kind, tt.to, got, tt.want)
			}
		}
		if _, err := unix.Lgetxattr(path, owner.Xattr, nil); err == nil {
			t.Errorf("%s: an attribute for the mapped owner is left", kind)
		}
	}
}

func TestChownForms(t *testing.T) {
	c := newCaller(t)
	path := c.newFile(owner.ID{UID: 1, GID: 1})
	dir := filepath.Dir(path)
	link := filepath.Join(dir, "link")
	if err := os.Symlink("file", link); err != nil {
		t.Fatal(err)
	}
	open := func(path string, flags int) int {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	dirfd, fd, asPath := open(dir, unix.O_PATH), open(path, unix.O_RDONLY), open(path, unix.O_PATH)
	for n, tt := range []struct {
		name    string
		h       Handler
		args    func(id int) []any
		want    unix.Errno
		changed string
	}{
		{"chown", Chown, func(id int) []any { return []any{path, id, id} }, 0, path},
		{"chown of a link", Chown, func(id int) []any { return []any{link, id, id} }, 0, path},
		{"lchown of a link", Lchown, func(id int) []any { return []any{link, id, id} }, 0, link},
		{"fchown", Fchown, func(id int) []any { return []any{fd, id, id} }, 0, path},
		{"fchown of O_PATH", Fchown, func(id int) []any { return []any{asPath, id, id} }, unix.EBADF, ""},
		{"fchown of nothing", Fchown, func(id int) []any { return []any{-1, id, id} }, unix.EBADF, ""},
		{"fchownat", Fchownat, func(id int) []any { return []any{dirfd, "file", id, id, 0} }, 0, path},
		{"fchownat, nofollow", Fchownat, func(id int) []any { return []any{dirfd, "link", id, id, unix.AT_SYMLINK_NOFOLLOW} }, 0, link},
		{"fchownat, empty path", Fchownat, func(id int) []any { return []any{asPath, "", id, id, unix.AT_EMPTY_PATH} }, 0, path},
		{"fchownat, no empty path", Fchownat, func(id int) []any { return []any{asPath, "", id, id, 0} }, unix.ENOENT, ""},
		{"fchownat, unknown flag", Fchownat, func(id int) []any { return []any{dirfd, "file", id, id, unix.AT_REMOVEDIR} }, unix.EINVAL, ""},
		{"fchownat, bad dirfd", Fchownat, func(id int) []any { return []any{-1, "file", id, id, 0} }, unix.EBADF, ""},
		{"missing", Chown, func(id int) []any { return []any{path + ".none", id, id} }, unix.ENOENT, ""},
		{"below a file", Chown, func(id int) []any { return []any{path + "/x", id, id} }, unix.ENOTDIR, ""},
		{"bad address", Chown, func(id int) []any { return []any{8, id, id} }, unix.EFAULT, ""},
		{"16 bits", Chown16, func(id int) []any { return []any{path, 0x10000 + id, 0x10000 + id} }, 0, path},
		{"read-only file system of the kernel", Chown, func(id int) []any { return []any{"/proc/version", id, id} }, 0, ""},
		{"a device of somebody else", Chown, func(id int) []any { return []any{"/dev/null", id, id} }, 0, "/dev/null"},
	} {
		id := 1000 + n
		if r := c.do(tt.h, tt.args(id)...); r != Errno(tt.want) {
			t.Errorf("%s: %+v, want error %v", tt.name, r, tt.want)
			continue
		}
		if tt.changed == "" {
			continue
		}
		if got := c.stat(tt.changed); got != (owner.ID{UID: uint32(id), GID: uint32(id)}) {
			t.Errorf("%s: owner %v, want %d", tt.name, got, id)
		}
	}
}

// The kernel does it first: it takes the set-id bits away.
func TestChownClearsSetID(t *testing.T) {
	c := newCaller(t)
	path := c.newFile(owner.ID{})
	if err := unix.Chmod(path, 0o6755); err != nil {
		t.Fatal(err)
	}
	if r := c.do(Chown, path, 42, 43); r != (Result{}) {
		t.Fatalf("%+v", r)
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil || st.Mode&0o7777 != 0o755 {
		t.Errorf("mode %o, %v; want 755", st.Mode&0o7777, err)
	}
}

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
