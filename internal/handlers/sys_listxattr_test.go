package handlers

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

func TestListHidesRecord(t *testing.T) {
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
		{"query of the size", 0, 0, Return(len(want))},
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
