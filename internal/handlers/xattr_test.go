package handlers

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

func TestShownNames(t *testing.T) {
	const x = owner.Xattr
	for _, tt := range []struct{ names, want, privileged string }{
		{"", "", ""},
		{x + "\x00", "", ""},
		{"user.a\x00" + x + "\x00", "user.a\x00", "user.a\x00"},
		{"user.a\x00" + x + "\x00user.b\x00", "user.a\x00user.b\x00", "user.a\x00user.b\x00"},
		{"user.a\x00", "user.a\x00", "user.a\x00"},
		{x + "s\x00", x + "s\x00", x + "s\x00"},
		{"user." + x + "\x00", "user." + x + "\x00", "user." + x + "\x00"},
		{x[:len(x)-1] + "\x00", x[:len(x)-1] + "\x00", x[:len(x)-1] + "\x00"},
		{x + ".other\x00", "", ""},
		{x + ".trusted.a\x00user.b\x00", "user.b\x00", "trusted.a\x00user.b\x00"},
		{"user.a\x00" + x + "\x00" + x + ".trusted.b\x00", "user.a\x00", "user.a\x00trusted.b\x00"},
		{x, "", ""}, // not ended
	} {
		if got := shownNames([]byte(tt.names), false); string(got) != tt.want {
			t.Errorf("shownNames(%q, false) = %q, want %q", tt.names, got, tt.want)
		}
		if got := shownNames([]byte(tt.names), true); string(got) != tt.privileged {
			t.Errorf("shownNames(%q, true) = %q, want %q", tt.names, got, tt.privileged)
		}
	}
}

// newFile makes a file with an owner, or skips the test.
func (c *caller) newFile(id owner.ID) string {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("content"), 0o644); err != nil {
		c.t.Fatal(err)
	}
	if err := unix.Setxattr(path, owner.Xattr, (&owner.Record{ID: id}).Append(nil), 0); err != nil {
		c.t.Skipf("%s: %v", path, err)
	}
	return path
}

// The container sees and changes all attributes but the one of the owner.
func TestXattrIsHidden(t *testing.T) {
	c := newCaller(t)
	path := c.newFile(owner.ID{UID: 42, GID: 43})
	const x = owner.Xattr
	b := make([]byte, 64)
	for _, tt := range []struct {
		name string
		h    Handler
		args []any
		want Result
	}{
		{"getxattr", Getxattr, []any{path, x, b, 64}, Errno(unix.ENODATA)},
		{"getxattr of the size", Getxattr, []any{path, x, 0, 0}, Errno(unix.ENODATA)},
		{"getxattr of another", Getxattr, []any{path, "user.other", b, 64}, Continue},
		{"getxattr of a longer name", Getxattr, []any{path, x + "x", b, 64}, Continue},
		{"getxattr, no file", Getxattr, []any{path + ".none", x, b, 64}, Errno(unix.ENOENT)},
		{"getxattr, bad name", Getxattr, []any{path, 8, b, 64}, Continue},
		{"getxattr, bad path", Getxattr, []any{8, x, b, 64}, Errno(unix.EFAULT)},
		{"the probe", Getxattr, []any{"/", Probe, 0, 0}, Return(1)},
		{"lgetxattr", Lgetxattr, []any{path, x, b, 64}, Errno(unix.ENODATA)},
		{"fgetxattr, bad descriptor", Fgetxattr, []any{-1, x, b, 64}, Errno(unix.EBADF)},
		{"setxattr", Setxattr, []any{path, x, "v", 1, 0}, Errno(unix.EPERM)},
		{"setxattr of another", Setxattr, []any{path, "user.other", "v", 1, 0}, Continue},
		{"setxattr, unknown flag", Setxattr, []any{path, x, "v", 1, 0x80}, Continue},
		{"setxattr, no file", Setxattr, []any{path + ".none", x, "v", 1, 0}, Errno(unix.ENOENT)},
		{"lsetxattr", Lsetxattr, []any{path, x, "v", 1, 0}, Errno(unix.EPERM)},
		{"removexattr", Removexattr, []any{path, x}, Errno(unix.ENODATA)},
		{"removexattr of another", Removexattr, []any{path, "user.other"}, Continue},
		{"lremovexattr", Lremovexattr, []any{path, x}, Errno(unix.ENODATA)},
		{"getxattrat, unknown flag", Getxattrat, []any{-100, path, 1 << 30, x, b, 16}, Errno(unix.EINVAL)},
	} {
		if got := c.do(tt.h, tt.args...); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	if _, err := unix.Getxattr(path, x, b); err != nil {
		t.Errorf("the attribute is gone: %v", err)
	}
}

func TestListIsWithoutOwner(t *testing.T) {
	c := newCaller(t)
	path := c.newFile(owner.ID{UID: 42, GID: 43})
	b := make([]byte, 64)
	if got := c.do(Listxattr, path, b, len(b)); got != Return(0) {
		t.Errorf("the owner's only: %+v, want an empty list", got)
	}
	if err := unix.Setxattr(path, "user.other", nil, 0); err != nil {
		t.Fatal(err)
	}
	const want = "user.other\x00"
	for _, tt := range []struct {
		name string
		buf  any
		size int
		want Result
	}{
		{"large", b, len(b), Return(len(want))},
		{"exact", b, len(want), Return(len(want))},
		{"one too small", b, len(want) - 1, Errno(unix.ERANGE)},
		{"size asked for", 0, 0, Return(len(want))},
		{"bad address", 8, 64, Errno(unix.EFAULT)},
	} {
		clear(b)
		got := c.do(Listxattr, path, tt.buf, tt.size)
		if got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
		if s := string(b[:len(want)]); got.Val > 0 && tt.size > 0 && s != want {
			t.Errorf("%s: names %q, want %q", tt.name, s, want)
		}
	}
	if err := unix.Removexattr(path, owner.Xattr); err != nil {
		t.Fatal(err)
	}
	if got := c.do(Listxattr, path, b, len(b)); got != Continue {
		t.Errorf("without an owner: %+v, want the kernel's answer", got)
	}
}
