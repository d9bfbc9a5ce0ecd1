package handlers

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// user is the owner of what the tests below create.
var user = owner.ID{UID: 1000, GID: 1001}

// newUser is newCaller for a task with the ids of user.
func newUser(t *testing.T) *caller {
	t.Helper()
	c := newCaller(t)
	s := identity.Root()
	s.UID = cred.IDs{Real: user.UID, Effective: user.UID, Saved: user.UID, FS: user.UID}
	s.GID = cred.IDs{Real: user.GID, Effective: user.GID, Saved: user.GID, FS: user.GID}
	s.Permitted, s.Effective = 0, 0
	if e := c.call.become(&s); e != 0 {
		t.Fatal(e)
	}
	return c
}

// repeats makes the next call a repetition of the previous one, by a worker that has started
// after the first one died.
func (c *caller) repeats(t *testing.T) {
	t.Helper()
	c.call.Again, c.call.Before = true, math.MaxInt64
}

func TestMkdirAgain(t *testing.T) {
	c := newUser(t)
	c.call.ID = 7
	dir := filepath.Join(t.TempDir(), "dir")
	if r := c.do(Mkdir, dir, 0o755); r != Errno(0) {
		t.Fatalf("mkdir: %+v", r)
	}
	if got := c.stat(dir); got != user {
		t.Errorf("owner %v, want %v", got, user)
	}
	if r := c.do(Mkdir, dir, 0o755); r != Errno(unix.EEXIST) {
		t.Errorf("mkdir of what exists: %+v", r)
	}

	// Created, but not recorded.
	c.call.ID = 8
	dir = filepath.Join(t.TempDir(), "dir")
	*c.call.Intent = Intent{ID: 8, Began: sys.CoarseNow()}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c.repeats(t)
	if r := c.do(Mkdir, dir, 0o755); r != Errno(0) {
		t.Errorf("mkdir again: %+v", r)
	}
	if got := c.stat(dir); got != user {
		t.Errorf("owner %v, want %v", got, user)
	}
	// Created and recorded.
	if r := c.do(Mkdir, dir, 0o755); r != Errno(0) {
		t.Errorf("mkdir once more: %+v", r)
	}
	// Not created.
	c.call.note(Intent{Began: sys.CoarseNow()})
	none := filepath.Join(t.TempDir(), "none")
	if r := c.do(Mkdir, none, 0o755); r != Errno(0) || c.stat(none) != user {
		t.Errorf("mkdir that has had no effect: %+v", r)
	}
}

// An inode that the dead worker has not created does not belong to the caller.
func TestMkdirAgainOfOthers(t *testing.T) {
	for name, prepare := range map[string]func(c *Call){
		"another call's":    func(c *Call) { c.Intent.ID = 6 },
		"older":             func(c *Call) { c.Intent.Began += int64(time.Hour) },
		"made since":        func(c *Call) { c.Before = time.Now().Add(-time.Minute).UnixNano() },
		"of the first call": func(c *Call) { c.Again = false },
	} {
		c := newUser(t)
		c.call.ID = 7
		dir := filepath.Join(t.TempDir(), "dir")
		*c.call.Intent = Intent{ID: 7, Began: sys.CoarseNow()}
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		c.repeats(t)
		prepare(&c.call)
		if r := c.do(Mkdir, dir, 0o755); r != Errno(unix.EEXIST) {
			t.Errorf("%s: %+v", name, r)
		}
		if got := c.stat(dir); got != (owner.ID{}) {
			t.Errorf("%s: owner %v", name, got)
		}
	}
}

func TestOpenAgain(t *testing.T) {
	c := newUser(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o400); err != nil {
		t.Fatal(err)
	}
	c.call.ID = 9
	*c.call.Intent = Intent{ID: 9, Began: sys.CoarseNow()}
	c.repeats(t)
	for name, call := range map[string]func() Result{
		"open": func() Result { return c.do(Open, file, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o400) },
		"openat2": func() Result {
			how := unix.OpenHow{Flags: unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY, Mode: 0o400}
			b := unsafe.Slice((*byte)(unsafe.Pointer(&how)), unsafe.Sizeof(how))
			return c.do(Openat2, unix.AT_FDCWD, file, b, len(b))
		},
	} {
		r := call()
		if !r.File || r.CloseOnExec {
			t.Errorf("%s: %+v", name, r)
			continue
		}
		var st, want unix.Stat_t
		if err := unix.Fstat(int(r.Val), &st); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Write(int(r.Val), []byte("x")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		unix.Close(int(r.Val))
		if err := unix.Stat(file, &want); err != nil {
			t.Fatal(err)
		}
		if st.Ino != want.Ino || c.stat(file) != user {
			t.Errorf("%s: inode %d of %v, want %d of %v", name, st.Ino, c.stat(file), want.Ino, user)
		}
	}
}

// If the owner cannot be recorded, nothing is created.
func TestCreateWithoutRecord(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a file system without extended attributes needs root")
	}
	c := newUser(t)
	c.call.Owners = owner.NewStore(owner.ID{}, nil) // no sidecar
	dir := t.TempDir()
	for _, err := range []error{
		unix.Unshare(unix.CLONE_NEWNS),
		unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("none", dir, "ramfs", 0, ""),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	for name, call := range map[string]func(path string) Result{
		"symlink": func(path string) Result { return c.do(Symlink, "target", path) },
		"FIFO":    func(path string) Result { return c.do(Mknod, path, unix.S_IFIFO|0o644, 0) },
	} {
		path := filepath.Join(dir, name)
		if r := call(path); r != Errno(unix.EROFS) {
			t.Errorf("%s: %+v, want EROFS", name, r)
		}
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s: it is there: %v", name, err)
		}
	}
}

// A directory that another task puts in place of the new one keeps its owner.
func TestCreateOfWhatWasReplaced(t *testing.T) {
	c := newUser(t)
	dir := t.TempDir()
	old, made := filepath.Join(dir, "old"), filepath.Join(dir, "made")
	if err := os.Mkdir(old, 0o755); err != nil {
		t.Fatal(err)
	}
	time.Sleep(granularity + 50*time.Millisecond)
	r := c.do(func(c *Call) Result {
		return c.create(unix.AT_FDCWD, 0, unix.S_IFDIR|0o755, func(int, *byte, uint32) unix.Errno {
			if err := os.Mkdir(made, 0o755); err != nil {
				return err.(*os.PathError).Err.(unix.Errno)
			}
			if err := unix.Rename(old, made); err != nil {
				return err.(unix.Errno)
			}
			return 0
		}, owner.Record{})
	}, made)
	if r != Errno(0) {
		t.Errorf("%+v", r)
	}
	if got := c.stat(made); got != (owner.ID{}) {
		t.Errorf("owner %v, want that of before", got)
	}
}

// The kernel creates inodes for the container's root, unless they inherit a group that it
// does not know.
func TestRootCreates(t *testing.T) {
	c := newCaller(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "new")
	calls := map[string]func() Result{
		"mkdir":   func() Result { return c.do(Mkdir, path, 0o755) },
		"symlink": func() Result { return c.do(Symlink, "target", path) },
		"mknod":   func() Result { return c.do(Mknod, path, unix.S_IFIFO|0o644, 0) },
		"open":    func() Result { return c.do(Open, path, unix.O_CREAT|unix.O_WRONLY, 0o644) },
		"creat":   func() Result { return c.do(Creat, path, 0o644) },
		"tmpfile": func() Result { return c.do(Open, dir, unix.O_TMPFILE|unix.O_WRONLY, 0o644) },
	}
	expect := func(when string, want bool) {
		t.Helper()
		for name, call := range calls {
			r := call()
			if (r == Continue) != want || !r.Continue && r.Errno != 0 {
				t.Errorf("%s, %s: %+v", when, name, r)
			}
			if r.File {
				unix.Close(int(r.Val))
			}
			os.Remove(path)
		}
	}
	expect("a plain directory", true)
	if r := c.do(Chown, dir, 7, 8); r != Errno(0) {
		t.Fatal(r)
	}
	expect("another user's directory", true)
	if err := os.Chmod(dir, 0o777|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	expect("a set-group-ID directory", false)
}

func TestRootCreatesAllocatesNothing(t *testing.T) {
	c := newCaller(t)
	path := append([]byte(filepath.Join(t.TempDir(), "new")), 0)
	for name, call := range map[string]struct {
		h    Handler
		args []any
	}{
		"mkdir":            {Mkdir, []any{path, 0o755}},
		"open":             {Open, []any{path, unix.O_CREAT | unix.O_WRONLY, 0o644}},
		"openat, existing": {Openat, []any{unix.AT_FDCWD, []byte("/dev/null\x00"), unix.O_WRONLY, 0}},
	} {
		c.do(call.h, call.args...) // leaves the arguments in place
		if n := testing.AllocsPerRun(100, func() {
			if call.h(&c.call) != Continue {
				t.Error(name)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations, want none", name, n)
		}
	}
}
