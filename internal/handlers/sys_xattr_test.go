package handlers

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// The container sees and changes all attributes except the record.
func TestXattrHidesRecord(t *testing.T) {
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
