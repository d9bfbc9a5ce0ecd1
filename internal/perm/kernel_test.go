package perm_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/credtest"
	"github.com/rootless-containers/subuidless/internal/perm"
)

func TestMain(m *testing.M) {
	// There are many rules, and a check takes less than a millisecond.
	if err := flag.Set("rapid.checks", "500"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// check checks a property as root. Each run has an empty directory that every user may
// search.
func check(t *testing.T, property func(t *rapid.T, dir string)) {
	t.Helper()
	credtest.NeedRoot(t)
	parent := t.TempDir()
	for _, d := range []string{filepath.Dir(parent), parent} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(parent, "dir")
	rapid.Check(t, func(t *rapid.T) {
		ok(t, os.RemoveAll(dir))
		ok(t, os.Mkdir(dir, 0o755))
		property(t, dir)
	})
}

func ok(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// as runs f in a thread with the credentials c, and returns its error number.
func as(t *rapid.T, c cred.Credentials, f func() error) unix.Errno {
	t.Helper()
	var err error
	thread := credtest.NewThread()
	defer thread.Close()
	thread.Do(func() {
		if err = unix.Unshare(unix.CLONE_FS); err != nil { // for a umask of its own
			return
		}
		credtest.Become(c)
		err = f()
	})
	switch e := err.(type) {
	case nil:
		return 0
	case unix.Errno:
		return e
	}
	t.Fatal(err)
	return 0
}

// thread draws the credentials of a thread.
func thread(t *rapid.T) cred.Credentials { return credtest.Credentials().Draw(t, "thread") }

// inode draws an inode of one of the types.
func inode(t *rapid.T, name string, types ...uint32) perm.Inode {
	return perm.Inode{
		UID: credtest.ID().Draw(t, name+" uid"),
		GID: credtest.ID().Draw(t, name+" gid"),
		Mode: rapid.SampledFrom(types).Draw(t, name+" type") | rapid.OneOf(rapid.Uint32Range(0, 0o7777),
			rapid.SampledFrom([]uint32{0o644, 0o2644, 0o2755, 0o4755, 0o6755, 0o6644, 0o1777, 0o666})).Draw(t, name+" mode"),
	}
}

// put makes the inode i at path.
func put(t *rapid.T, path string, i perm.Inode) {
	t.Helper()
	if i.Mode&unix.S_IFMT == unix.S_IFDIR {
		ok(t, unix.Mkdir(path, 0o700))
	} else {
		ok(t, unix.Mknod(path, i.Mode, 0))
	}
	ok(t, unix.Chown(path, int(i.UID), int(i.GID)))
	ok(t, unix.Chmod(path, i.Mode&0o7777))
}

// expect compares the kernel's result, got and the inode at path, with the model's.
func expect(t *rapid.T, path string, got, want unix.Errno, inode perm.Inode) {
	t.Helper()
	var s unix.Stat_t
	ok(t, unix.Lstat(path, &s))
	after := perm.Inode{UID: s.Uid, GID: s.Gid, Mode: s.Mode}
	if got != want || after != inode {
		t.Fatalf("kernel %v %+v %#o\nmodel  %v %+v %#o", got, after, after.Mode, want, inode, inode.Mode)
	}
}

// writable reports whether the kernel lets the calling thread write to path.
func writable(path string) bool {
	return unix.Faccessat2(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS) == nil
}

func TestChownKernel(t *testing.T) {
	check(t, func(t *rapid.T, dir string) {
		c, i, path := thread(t), inode(t, "inode", unix.S_IFREG, unix.S_IFDIR, unix.S_IFIFO), filepath.Join(dir, "inode")
		put(t, path, i)
		id := rapid.OneOf(credtest.ID(), rapid.SampledFrom([]uint32{^uint32(0), i.UID, i.GID}))
		uid, gid := id.Draw(t, "uid"), id.Draw(t, "gid")
		want, e := perm.Chown(c, i, uid, gid)
		// By way of int32, 0xffffffff becomes -1.
		got := as(t, c, func() error { return unix.Lchown(path, int(int32(uid)), int(int32(gid))) })
		expect(t, path, got, e, want)
	})
}

func TestChmodKernel(t *testing.T) {
	check(t, func(t *rapid.T, dir string) {
		c, i, path := thread(t), inode(t, "inode", unix.S_IFREG, unix.S_IFDIR, unix.S_IFIFO), filepath.Join(dir, "inode")
		put(t, path, i)
		mode := rapid.Uint32Range(0, 0o7777).Draw(t, "mode")
		want, e := perm.Chmod(c, i, mode)
		i.Mode = want
		expect(t, path, as(t, c, func() error { return unix.Chmod(path, mode) }), e, i)
	})
}

func TestUtimesKernel(t *testing.T) {
	check(t, func(t *rapid.T, dir string) {
		c, i, path := thread(t), inode(t, "inode", unix.S_IFREG, unix.S_IFDIR), filepath.Join(dir, "inode")
		put(t, path, i)
		now := rapid.Bool().Draw(t, "now")
		times := []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}
		if !now {
			times[0] = rapid.SampledFrom([]unix.Timespec{{Sec: 1}, {Nsec: unix.UTIME_OMIT}}).Draw(t, "atime")
		}
		var want unix.Errno
		got := as(t, c, func() error {
			want = perm.Utimes(c, i, now, writable(path))
			return unix.UtimesNanoAt(unix.AT_FDCWD, path, times, 0)
		})
		expect(t, path, got, want, i)
	})
}

func TestMayDeleteKernel(t *testing.T) {
	check(t, func(t *rapid.T, dir string) {
		c := thread(t)
		parent, victim := inode(t, "directory", unix.S_IFDIR), inode(t, "victim", unix.S_IFREG, unix.S_IFDIR)
		parent.Mode |= 0o777
		path := filepath.Join(dir, "parent")
		put(t, path, parent)
		put(t, filepath.Join(path, "victim"), victim)
		want := perm.MayDelete(c, parent, victim)
		// Renaming a directory to another parent would need write permission on it.
		got := as(t, c, func() error { return unix.Rename(filepath.Join(path, "victim"), filepath.Join(path, "new")) })
		expect(t, path, got, want, parent)
	})
}

func TestNewInodeKernel(t *testing.T) {
	check(t, func(t *rapid.T, dir string) {
		c, parent := thread(t), inode(t, "parent", unix.S_IFDIR)
		parent.Mode |= 0o777
		dir = filepath.Join(dir, "parent")
		put(t, dir, parent)
		path := filepath.Join(dir, "new")
		mode := rapid.SampledFrom([]uint32{unix.S_IFREG, unix.S_IFDIR, unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFLNK}).Draw(t, "type")
		umask := rapid.Uint32Range(0, 0o777).Draw(t, "umask")
		given := umask
		if mode == unix.S_IFLNK {
			mode |= 0o777
			umask = 0
		} else {
			mode |= rapid.Uint32Range(0, 0o7777).Draw(t, "mode")
		}
		opened := rapid.Bool().Draw(t, "by open")
		want := perm.NewInode(c, parent, mode, umask)
		got := as(t, c, func() error {
			unix.Umask(int(given))
			switch mode & unix.S_IFMT {
			case unix.S_IFDIR:
				return unix.Mkdir(path, mode&0o7777)
			case unix.S_IFLNK:
				return unix.Symlink("target", path)
			case unix.S_IFREG:
				if opened {
					fd, err := unix.Open(path, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, mode&0o7777)
					if err == nil {
						err = unix.Close(fd)
					}
					return err
				}
			}
			return unix.Mknod(path, mode, 0)
		})
		expect(t, path, got, 0, want)
	})
}

// xattrs has valid values of the attributes.
var xattrs = map[string]string{
	"user.a":                   "a",
	"trusted.a":                "a",
	"security.a":               "a",
	"security.capability":      string(cred.FileCaps{Permitted: 1}.Append(nil)),
	"system.posix_acl_access":  minimalACL,
	"system.posix_acl_default": minimalACL,
}

// minimalACL is u::rwx,g::rwx,o::rwx.
const minimalACL = "\x02\x00\x00\x00" +
	"\x01\x00\x07\x00\xff\xff\xff\xff\x04\x00\x07\x00\xff\xff\xff\xff\x20\x00\x07\x00\xff\xff\xff\xff"

// checksSecurity reports whether the kernel checks the capabilities of callers that change
// attributes security.* of path. Linux 6.1 with the security module bpf does not.
func checksSecurity(t *rapid.T, path string) bool {
	t.Helper()
	return as(t, cred.Credentials{}, func() error { return unix.Setxattr(path, "security.b", []byte("b"), 0) }) == unix.EPERM
}

func TestSetXattrKernel(t *testing.T) {
	check(t, func(t *rapid.T, dir string) {
		c, i, path := thread(t), inode(t, "inode", unix.S_IFREG, unix.S_IFDIR, unix.S_IFIFO), filepath.Join(dir, "inode")
		name := rapid.SampledFrom([]string{"user.a", "trusted.a", "security.a", "security.capability",
			"system.posix_acl_access", "system.posix_acl_default"}).Draw(t, "name")
		if name == "system.posix_acl_default" && i.Mode&unix.S_IFMT != unix.S_IFDIR {
			t.Skip("only directories have a default ACL")
		}
		put(t, path, i)
		if strings.HasPrefix(name, "security.") && !checksSecurity(t, path) {
			t.Skip("needs a kernel that checks capabilities")
		}
		value := []byte(xattrs[name])
		wanted := func() unix.Errno {
			e := perm.SetXattr(c, i, name, false)
			if e == 0 && name == "user.a" && !writable(path) {
				return unix.EACCES
			}
			return e
		}
		remove := rapid.Bool().Draw(t, "remove")
		if remove && !(name == "user.a" && i.Mode&unix.S_IFMT == unix.S_IFIFO) {
			ok(t, unix.Setxattr(path, name, value, 0))
			if name == "system.posix_acl_access" {
				i.Mode |= 0o777
			}
		}
		var want unix.Errno
		got := as(t, c, func() error {
			want = wanted()
			if remove {
				return unix.Removexattr(path, name)
			}
			return unix.Setxattr(path, name, value, 0)
		})
		if got != want {
			t.Fatalf("%s, remove %v: kernel %v, model %v", name, remove, got, want)
		}
	})
}
