package handlers

import (
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// modes returns the permissions that the container sees, and those that the kernel has.
func (c *caller) modes(path string) (visible, kernel uint32) {
	c.t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		c.t.Fatal(err)
	}
	b := make([]byte, statSize)
	switch r := c.do(StatPath(LayoutNative), path, b); r {
	case Continue:
		return st.Mode & 0o7777, st.Mode & 0o7777
	case Result{}:
		return (*unix.Stat_t)(unsafe.Pointer(&b[0])).Mode & 0o7777, st.Mode & 0o7777
	default:
		c.t.Fatalf("stat: %+v", r)
		return 0, 0
	}
}

// openAs makes the caller open the file, and returns the descriptor.
func (c *caller) openAs(path string, flags int) int {
	c.t.Helper()
	r := c.do(Open, path, flags)
	if r.File {
		return int(r.Val)
	}
	if r != Continue {
		c.t.Fatalf("open: %+v", r)
	}
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	return fd
}

// setIDFile returns a file with set-id bits that everybody may write to.
func (c *caller) setIDFile() string {
	path := c.newFile(owner.ID{UID: 7, GID: 7})
	if err := unix.Chmod(path, 0o6777); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// While root has the file open, its set-id bits are in the record.
func TestSetIDIsRecorded(t *testing.T) {
	c := newCaller(t)
	path := c.setIDFile()
	fd := c.openAs(path, unix.O_WRONLY)
	if visible, kernel := c.modes(path); visible != 0o6777 || kernel != 0o1777 {
		t.Fatalf("open for writing: %o, for the kernel %o; want 6777 and 1777", visible, kernel)
	}
	unix.Close(fd)
	c.modes(path) // settles
	if visible, kernel := c.modes(path); visible != 0o6777 || kernel != 0o6777 {
		t.Errorf("closed: %o, for the kernel %o; want 6777", visible, kernel)
	}
	var rec owner.Record
	value := make([]byte, 64)
	n, err := unix.Getxattr(path, owner.Xattr, value)
	if err == nil {
		rec, err = owner.Parse(value[:n])
	}
	if err != nil || rec.SetID != 0 || rec.UID != 7 {
		t.Errorf("record %+v, %v; want the owner only", rec, err)
	}
}

// A file that is open for writing may have been opened by a user.
func TestSetIDOfWrittenFile(t *testing.T) {
	c := newCaller(t)
	path := c.setIDFile()
	other, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	defer unix.Close(c.openAs(path, unix.O_WRONLY))
	if visible, kernel := c.modes(path); visible != 0o6777 || kernel != 0o6777 {
		t.Errorf("%o, for the kernel %o; want 6777", visible, kernel)
	}
}

// A mode that another program sets makes recorded bits void; a record whose worker has died
// before it changed the mode has no effect.
func TestSetIDIsVoid(t *testing.T) {
	c := newCaller(t)
	path := c.setIDFile()
	fd := c.openAs(path, unix.O_WRONLY)
	defer unix.Close(fd)
	for _, mode := range []uint32{0o755, 0o6711} {
		if err := unix.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if visible, _ := c.modes(path); visible != mode {
			t.Errorf("after chmod by the kernel: %o, want %o", visible, mode)
		}
	}
	if r := c.do(Chmod, path, 0o1755); r != (Result{}) {
		t.Fatalf("chmod: %+v", r)
	}
	if visible, _ := c.modes(path); visible != 0o1755 {
		t.Errorf("after chmod 1755: %o, want 1755", visible)
	}
}

// Before a caller without CAP_FSETID has the file open, the bits are in the kernel's mode.
func TestSetIDOfUser(t *testing.T) {
	c := newCaller(t)
	path := c.setIDFile()
	root := c.openAs(path, unix.O_WRONLY)
	defer unix.Close(root)
	c.restrict()
	c.call.NoPermissions = true // the directory of the test is private
	c.call.Begin()
	fd := c.openAs(path, unix.O_WRONLY)
	defer unix.Close(fd)
	if visible, kernel := c.modes(path); visible != 0o6777 || kernel != 0o6777 {
		t.Errorf("%o, for the kernel %o; want 6777", visible, kernel)
	}
}

// A successor repeats the call of a worker that has died between the two steps.
func TestSetIDTwice(t *testing.T) {
	c := newCaller(t)
	path := c.setIDFile()
	half := owner.Record{ID: owner.ID{UID: 7, GID: 7}, SetID: 0o6000}
	if err := unix.Setxattr(path, owner.Xattr, half.Append(nil), 0); err != nil {
		t.Fatal(err)
	}
	if visible, _ := c.modes(path); visible != 0o6777 {
		t.Errorf("between the steps: %o, want 6777", visible)
	}
	fd := c.openAs(path, unix.O_WRONLY)
	defer unix.Close(fd)
	if visible, kernel := c.modes(path); visible != 0o6777 || kernel != 0o1777 {
		t.Errorf("again: %o, for the kernel %o; want 6777 and 1777", visible, kernel)
	}
}
