package userns

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDormant starts a child that has its mark and waits, and a second one, which cannot have it.
func TestDormant(t *testing.T) {
	dir := t.TempDir()
	open := func(name string) *os.File {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	holder, until, mark := open("until"), open("until"), open("mark")
	if err := unix.Flock(int(holder.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	d := Dormant{
		Path:  "/bin/sh",
		Args:  []string{"sh", "-c", "exit 3"},
		Shown: []string{"waits"},
		Files: []int{0, 1, 2, int(until.Fd()), int(mark.Fd())},
		Until: 3,
		Mark:  4,
		At:    7,
	}
	pid, err := d.Start()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Marked(int(mark.Fd()), 7); got != pid || err != nil {
		t.Errorf("process %d has the mark (%v), want %d", got, err, pid)
	}
	if got, err := Marked(int(mark.Fd()), 8); got != 0 || err != nil {
		t.Errorf("process %d has another mark (%v)", got, err)
	}
	if second, err := d.Start(); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("the second child is %d, %v; want EAGAIN", second, err)
	}
	if err := unix.Flock(int(holder.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if status, err := Wait(pid); status.ExitStatus() != 3 || err != nil {
		t.Errorf("the program ends with %v, %v; want 3", status, err)
	}
	if got, err := Marked(int(mark.Fd()), 7); got != 0 || err != nil {
		t.Errorf("at the end, process %d has the mark (%v)", got, err)
	}
}
