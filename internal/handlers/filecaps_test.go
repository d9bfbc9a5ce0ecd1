package handlers

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
)

// What setcap(8) writes is what execve(2) reads.
func TestFileCaps(t *testing.T) {
	newCaller(t)
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if caps, ok := fileCaps(fd); ok {
		t.Errorf("of a file without capabilities: %+v", caps)
	}
	want := cred.FileCaps{Permitted: 1<<unix.CAP_NET_RAW | 1<<unix.CAP_BPF, Inheritable: 1 << unix.CAP_CHOWN, Effective: true}
	if err := unix.Setxattr(path, "security.capability", want.Append(nil), 0); err != nil {
		t.Fatal(err)
	}
	if caps, ok := fileCaps(fd); !ok || caps != want {
		t.Errorf("%+v, %t; want %+v", caps, ok, want)
	}
}
