package handlers

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// exchange makes two paths lead to each other's inode.
func exchange(t *testing.T, a, b string) {
	t.Helper()
	if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
		t.Fatal(err)
	}
}

// inodeAt returns the inode of a path.
func inodeAt(t *testing.T, path string) owner.Inode {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return owner.Inode{Dev: st.Dev, Ino: st.Ino}
}

// twoDirectories returns the paths of two directories of a set group, in which all users may
// create files.
func twoDirectories(t *testing.T, c *caller) (a, b string) {
	t.Helper()
	parent := t.TempDir()
	a, b = filepath.Join(parent, "a"), filepath.Join(parent, "b")
	for _, dir := range []string{a, b} {
		if err := os.Mkdir(dir, 0); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, os.ModeSetgid|0o777); err != nil {
			t.Fatal(err)
		}
		if err := c.call.Owners.Set(openAt(t, dir), 0, unix.S_IFDIR, owner.ID{UID: 0, GID: 501}); err != 0 {
			t.Fatal(err)
		}
	}
	return a, b
}

// openAt opens a path until the end of the test.
func openAt(t *testing.T, path string) int {
	t.Helper()
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// creators are calls that create an inode at a path.
var creators = map[string]struct {
	call func(c *caller, path string) Result
	make func(path string) error
}{
	"mkdir": {
		func(c *caller, path string) Result { return c.do(Mkdir, path, 0o755) },
		func(path string) error { return unix.Mkdir(path, 0o755) },
	},
	"mknod": {
		func(c *caller, path string) Result { return c.do(Mknod, path, unix.S_IFIFO|0o644, 0) },
		func(path string) error { return unix.Mkfifo(path, 0o644) },
	},
	"symlink": {
		func(c *caller, path string) Result { return c.do(Symlink, "target", path) },
		func(path string) error { return unix.Symlink("target", path) },
	},
	"open": {
		func(c *caller, path string) Result {
			return c.do(Open, path, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o644)
		},
		func(path string) error { return os.WriteFile(path, nil, 0o644) },
	},
}

// Another directory has the path when a call is repeated: the inode appears in the first one only,
// and with the right owner.
func TestCreateAgainInExchangedDirectory(t *testing.T) {
	want := owner.ID{UID: user.UID, GID: 501}
	for name, creator := range creators {
		for state, prepare := range map[string]func(c *caller, a, path string){
			"not created": func(c *caller, a, path string) {
				c.call.note(Intent{Began: sys.CoarseNow(), Inode: inodeAt(t, a)})
			},
			"created": func(c *caller, a, path string) {
				c.call.note(Intent{Began: sys.CoarseNow(), Inode: inodeAt(t, a)})
				if err := creator.make(path); err != nil {
					t.Fatal(err)
				}
			},
			"recorded": func(c *caller, a, path string) {
				r := creator.call(c, path)
				if r.Errno != 0 {
					t.Fatalf("%s: %+v", name, r)
				}
				if r.File {
					unix.Close(int(r.Val))
				}
				if made := inodeAt(t, path); c.call.Intent.Done != made {
					t.Errorf("%s: the Intent is %+v, want %v done", name, c.call.Intent, made)
				}
			},
		} {
			c := newUser(t)
			a, b := twoDirectories(t, c)
			c.call.ID = 7
			prepare(c, a, filepath.Join(a, "new"))
			exchange(t, a, b)
			c.repeats(t)
			r := creator.call(c, filepath.Join(a, "new"))
			if r.Errno != 0 || r.Continue {
				t.Errorf("%s, %s: %+v", name, state, r)
				continue
			}
			made := filepath.Join(b, "new")
			if got := c.stat(made); got != want {
				t.Errorf("%s, %s: owner %v, want %v", name, state, got, want)
			}
			if r.File {
				var st unix.Stat_t
				if err := unix.Fstat(int(r.Val), &st); err != nil || st.Ino != inodeAt(t, made).Ino {
					t.Errorf("%s, %s: opened inode %d (%v)", name, state, st.Ino, err)
				}
				unix.Close(int(r.Val))
			}
			if _, err := os.Lstat(filepath.Join(a, "new")); !os.IsNotExist(err) {
				t.Errorf("%s, %s: a second one was created: %v", name, state, err)
			}
		}
	}
}

// The inode has been moved, or removed, when a call is repeated that has had its effect.
func TestCreateAgainWhatHasMoved(t *testing.T) {
	for name, creator := range creators {
		c := newUser(t)
		path := filepath.Join(t.TempDir(), "new")
		c.call.ID = 7
		r := creator.call(c, path)
		if r.Errno != 0 {
			t.Fatalf("%s: %+v", name, r)
		}
		if r.File {
			unix.Close(int(r.Val))
		}
		if err := os.Rename(path, path+".moved"); err != nil {
			t.Fatal(err)
		}
		c.repeats(t)
		if r = creator.call(c, path); r.Errno != 0 {
			t.Errorf("%s: %+v", name, r)
		}
		if r.File {
			var st unix.Stat_t
			if err := unix.Fstat(int(r.Val), &st); err != nil || st.Ino != inodeAt(t, path+".moved").Ino {
				t.Errorf("opened inode %d (%v), want the one that has moved", st.Ino, err)
			}
			unix.Close(int(r.Val))
		}
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s: a second one was created: %v", name, err)
		}
	}
}

// An inode on which chown has begun is in another place of its directory when the call is
// repeated.
func TestChownAgainOfExchangedFile(t *testing.T) {
	for _, done := range []bool{false, true} {
		c := newCaller(t)
		a := c.newFile(owner.ID{})
		b := a + ".other"
		if err := os.WriteFile(b, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		c.call.ID = 7
		if done {
			if r := c.do(Chown, a, 42, 43); r != Errno(0) {
				t.Fatal(r)
			}
		} else {
			c.call.note(Intent{Inode: inodeAt(t, a)})
		}
		exchange(t, a, b)
		c.repeats(t)
		if r := c.do(Chown, a, 42, 43); r != Errno(0) {
			t.Errorf("done %v: %+v", done, r)
		}
		if got := c.stat(b); got != (owner.ID{UID: 42, GID: 43}) {
			t.Errorf("done %v: the first file belongs to %v", done, got)
		}
		if got := c.stat(a); got != (owner.ID{}) {
			t.Errorf("done %v: the other file belongs to %v", done, got)
		}
	}
}
