package handlers

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/owner"
)

// What setcap(8) writes is what execve(2) reads.
func TestFileCaps(t *testing.T) {
	c := newCaller(t)
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	i := &inode{fd: fd}
	if caps, ok := c.call.fileCaps(i); ok {
		t.Errorf("of a file without capabilities: %+v", caps)
	}
	want := cred.FileCaps{Permitted: 1<<unix.CAP_NET_RAW | 1<<unix.CAP_BPF, Inheritable: 1 << unix.CAP_CHOWN, Effective: true}
	if err := unix.Setxattr(path, "security.capability", want.Append(nil), 0); err != nil {
		t.Fatal(err)
	}
	if caps, ok := c.call.fileCaps(i); !ok || caps != want {
		t.Errorf("%+v, %t; want %+v", caps, ok, want)
	}
	// Those of the root of another namespace do not apply.
	if err := unix.Setxattr(path, "security.capability", owner.RootIDMark, 0); err != nil {
		t.Fatal(err)
	}
	if caps, ok := c.call.fileCaps(i); ok {
		t.Errorf("of another root: %+v", caps)
	}
}

func TestUnmappedRootCaps(t *testing.T) {
	c := newCaller(t)
	path := c.newFile(owner.ID{})
	caps := cred.FileCaps{Permitted: 1 << unix.CAP_NET_RAW, RootID: foreignID}
	value := caps.Append(nil)
	if got := c.do(Setxattr, path, "security.capability", value, len(value), 0); got.Errno != 0 {
		t.Fatalf("setxattr: %+v", got)
	}
	b := make([]byte, 64)
	if got := c.do(Getxattr, path, "security.capability", b, len(b)); got != Return(len(value)) || string(b[:len(value)]) != string(value) {
		t.Errorf("getxattr: %+v, % x; want % x", got, b[:len(value)], value)
	}
	// The kernel removes the mark.
	if err := os.WriteFile(path, []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := c.do(Getxattr, path, "security.capability", b, len(b)); got != Continue {
		t.Errorf("getxattr after a write: %+v, want the kernel's answer", got)
	}
}
