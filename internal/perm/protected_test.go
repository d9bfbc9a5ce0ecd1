package perm_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/rootless-containers/subuidless/internal/acl"
	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/perm"
)

func TestProtected(t *testing.T) {
	all := perm.Protected{Hardlinks: 1, Symlinks: 1, FIFOs: 1, Regular: 1}
	strict := perm.Protected{Hardlinks: 1, Symlinks: 1, FIFOs: 2, Regular: 2}
	shared, team := dir(0, 0, 0o1777), dir(0, 5, 0o1775)
	fifo := perm.Inode{UID: 7, GID: 7, Mode: unix.S_IFIFO | 0o666}
	link := perm.Inode{UID: 7, GID: 7, Mode: unix.S_IFLNK | 0o777}
	for _, test := range []struct {
		rule      string
		got, want unix.Errno
	}{
		{"symbolic links are followed only when outside a sticky world-writable directory",
			all.MayFollow(user(8), shared, link), unix.EACCES},
		{"not even by root", all.MayFollow(cred.Root(), shared, link), unix.EACCES},
		{"or when the UID of the symbolic link and follower match", all.MayFollow(user(7), shared, link), 0},
		{"or when the directory owner matches the symbolic link's owner", all.MayFollow(user(8), dir(7, 7, 0o1777), link), 0},
		{"outside", all.MayFollow(user(8), dir(0, 0, 0o777), link), 0},
		{"only if the protection is on", perm.Protected{}.MayFollow(user(8), shared, link), 0},

		{"hard links only to files that the caller owns", all.MayLink(user(8), file(7, 7, 0o644), nil), unix.EPERM},
		{"or can read and write", all.MayLink(user(8), file(7, 7, 0o666), nil), 0},
		{"which are no set-id programs", all.MayLink(user(8), file(7, 7, 0o4777), nil), unix.EPERM},
		{"nor special files", all.MayLink(user(8), fifo, nil), unix.EPERM},
		{"CAP_FOWNER", all.MayLink(cred.Root(), file(7, 7, 0o4000), nil), 0},
		{"only if the protection is on", perm.Protected{}.MayLink(user(8), file(7, 7, 0), nil), 0},

		{"avoid O_CREAT opens of files that we do not own in world-writable sticky directories",
			all.MayOpenShared(cred.Root(), shared, file(7, 7, 0o666)), unix.EACCES},
		{"FIFOs as well", all.MayOpenShared(user(8), shared, fifo), unix.EACCES},
		{"unless they are owned by the owner of the directory", all.MayOpenShared(user(8), shared, file(0, 0, 0o666)), 0},
		{"2: also group-writable sticky directories", strict.MayOpenShared(user(8), team, file(7, 7, 0o666)), unix.EACCES},
		{"1: only world-writable ones", all.MayOpenShared(user(8), team, file(7, 7, 0o666)), 0},
	} {
		if test.got != test.want {
			t.Errorf("%s: got %v, want %v", test.rule, test.got, test.want)
		}
	}
}

// protected returns the settings of this kernel.
func protected(t *testing.T) perm.Protected {
	t.Helper()
	read := func(name string) int {
		b, err := os.ReadFile("/proc/sys/fs/protected_" + name)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return perm.Protected{Hardlinks: read("hardlinks"), Symlinks: read("symlinks"), FIFOs: read("fifos"), Regular: read("regular")}
}

func TestProtectedKernel(t *testing.T) {
	p := protected(t)
	check(t, func(t *rapid.T, dir string) {
		c, parent, i := thread(t), inode(t, "directory", unix.S_IFDIR), inode(t, "inode", unix.S_IFREG, unix.S_IFIFO)
		parent.Mode |= 0o777
		shared, path := filepath.Join(dir, "shared"), filepath.Join(dir, "shared", "inode")
		put(t, shared, parent)
		put(t, path, i)
		t.Logf("%+v", p)

		want := p.MayLink(c, i, nil)
		if got := as(t, c, func() error { return unix.Link(path, filepath.Join(shared, "link")) }); got != want {
			t.Errorf("link: kernel %v, model %v", got, want)
		}

		if want = p.MayOpenShared(c, parent, i); want == 0 {
			want = perm.Access(c, i, nil, perm.Read)
		}
		got := as(t, c, func() error {
			fd, err := unix.Open(path, unix.O_CREAT|unix.O_RDONLY|unix.O_NONBLOCK, 0)
			if err == nil {
				err = unix.Close(fd)
			}
			return err
		})
		if got != want {
			t.Errorf("open: kernel %v, model %v", got, want)
		}

		symlink := filepath.Join(shared, "symlink")
		ok(t, unix.Symlink("..", symlink))
		ok(t, unix.Lchown(symlink, int(i.UID), int(i.GID)))
		link := perm.Inode{UID: i.UID, GID: i.GID, Mode: unix.S_IFLNK | 0o777}
		want = p.MayFollow(c, parent, link)
		var st unix.Stat_t
		if got := as(t, c, func() error { return unix.Stat(symlink, &st) }); got != want {
			t.Errorf("stat: kernel %v, model %v", got, want)
		}
	})
}

func TestAccessByRealIDsKernel(t *testing.T) {
	check(t, func(t *rapid.T, dir string) {
		c, i, path := thread(t), inode(t, "inode", unix.S_IFREG, unix.S_IFDIR), filepath.Join(dir, "inode")
		put(t, path, i)
		mode := rapid.Uint32Range(1, 7).Draw(t, "mode")
		got := as(t, c, func() error { return unix.Faccessat(unix.AT_FDCWD, path, mode, 0) })
		expect(t, path, got, perm.Access(c.Access(), i, acl.ACL(nil), mode), i)
	})
}

func TestWrittenKernel(t *testing.T) {
	check(t, func(t *rapid.T, dir string) {
		c, i := thread(t), inode(t, "inode", unix.S_IFREG)
		write := rapid.Bool().Draw(t, "write")
		i.Mode |= 0o222
		path := filepath.Join(dir, "inode")
		put(t, path, i)
		want := i
		e := perm.Access(c, i, nil, perm.Write)
		if e == 0 {
			want.Mode = perm.Written(c, i)
		}
		got := as(t, c, func() error {
			if !write {
				return unix.Truncate(path, 0)
			}
			fd, err := unix.Open(path, unix.O_WRONLY, 0)
			if err != nil {
				return err
			}
			if _, err = unix.Write(fd, []byte("x")); err != nil {
				return err
			}
			return unix.Close(fd)
		})
		expect(t, path, got, e, want)
	})
}
