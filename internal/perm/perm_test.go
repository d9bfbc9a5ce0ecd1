package perm_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/perm"
)

// user returns credentials whose uids and gids are all id, without capabilities.
func user(id uint32, groups ...uint32) cred.Credentials {
	ids := cred.IDs{Real: id, Effective: id, Saved: id, FS: id}
	return cred.Credentials{UID: ids, GID: ids, Groups: groups}
}

func file(uid, gid, mode uint32) perm.Inode {
	return perm.Inode{UID: uid, GID: gid, Mode: unix.S_IFREG | mode}
}

func dir(uid, gid, mode uint32) perm.Inode {
	return perm.Inode{UID: uid, GID: gid, Mode: unix.S_IFDIR | mode}
}

const unchanged = ^uint32(0)

func TestChown(t *testing.T) {
	for _, test := range []struct {
		rule     string
		c        cred.Credentials
		inode    perm.Inode
		uid, gid uint32
		want     perm.Inode
		errno    unix.Errno
	}{
		{"Only a privileged process (Linux: one with the CAP_CHOWN capability) may change the owner of a file.",
			user(7), file(7, 7, 0o644), 8, unchanged, file(7, 7, 0o644), unix.EPERM},
		{"and a privileged process may", cred.Root(), file(7, 7, 0o644), 8, 9, file(8, 9, 0o644), 0},
		{"The owner of a file may change the group of the file to any group of which that owner is a member.",
			user(7, 9), file(7, 7, 0o644), unchanged, 9, file(7, 9, 0o644), 0},
		{"but to no other", user(7), file(7, 7, 0o644), unchanged, 9, file(7, 7, 0o644), unix.EPERM},
		{"nor may a member of the group that is not the owner", user(8, 9), file(7, 7, 0o644), unchanged, 9, file(7, 7, 0o644), unix.EPERM},
		{"If the owner or group is specified as -1, then that ID is not changed.",
			user(8), file(7, 7, 0o644), unchanged, unchanged, file(7, 7, 0o644), 0},
		{"the S_ISUID and S_ISGID mode bits are cleared", cred.Root(), file(7, 7, 0o6755), 8, 8, file(8, 8, 0o755), 0},
		{"the S_ISGID bit indicates mandatory locking, and is not cleared by a chown().",
			cred.Root(), file(7, 7, 0o2644), 8, 8, file(8, 8, 0o2644), 0},
		{"directories keep theirs", cred.Root(), dir(7, 7, 0o6755), 8, 8, dir(8, 8, 0o6755), 0},
		{"clearing them needs the permission for chmod", user(8), file(7, 7, 0o4755), unchanged, unchanged, file(7, 7, 0o4755), unix.EPERM},
	} {
		if got, e := perm.Chown(test.c, test.inode, test.uid, test.gid); got != test.want || e != test.errno {
			t.Errorf("%s: %+v, %v; want %+v, %v", test.rule, got, e, test.want, test.errno)
		}
	}
}

func TestChmod(t *testing.T) {
	for _, test := range []struct {
		rule  string
		c     cred.Credentials
		inode perm.Inode
		want  uint32
		errno unix.Errno
	}{
		{"The effective UID of the calling process must match the owner of the file",
			user(8), file(7, 7, 0o644), unix.S_IFREG | 0o644, unix.EPERM},
		{"or the process must be privileged", cred.Root(), file(7, 7, 0o644), unix.S_IFREG | 0o2755, 0},
		{"a member of the group", user(7, 9), file(7, 9, 0o644), unix.S_IFREG | 0o2755, 0},
		{"the S_ISGID bit will be turned off, but this will not cause an error to be returned.",
			user(7), file(7, 9, 0o644), unix.S_IFREG | 0o755, 0},
	} {
		if got, e := perm.Chmod(test.c, test.inode, 0o2755); got != test.want || e != test.errno {
			t.Errorf("%s: %#o, %v; want %#o, %v", test.rule, got, e, test.want, test.errno)
		}
	}
}

func TestUtimes(t *testing.T) {
	for _, test := range []struct {
		name          string
		c             cred.Credentials
		now, writable bool
		want          unix.Errno
	}{
		{"the owner sets any time", user(7), false, false, 0},
		{"a privileged process sets any time", cred.Root(), false, false, 0},
		{"with write permission, the current time", user(8), true, true, 0},
		{"but no other time", user(8), false, true, unix.EPERM},
		{"without write permission, no time", user(8), true, false, unix.EACCES},
	} {
		if e := perm.Utimes(test.c, file(7, 7, 0o644), test.now, test.writable); e != test.want {
			t.Errorf("%s: %v, want %v", test.name, e, test.want)
		}
	}
}

func TestMayDelete(t *testing.T) {
	tmp := dir(0, 0, 0o1777)
	for _, test := range []struct {
		name        string
		c           cred.Credentials
		dir, victim perm.Inode
		want        unix.Errno
	}{
		{"the owner of the file", user(7), tmp, file(7, 7, 0o644), 0},
		{"the owner of the directory", user(7), dir(7, 7, 0o1777), file(8, 8, 0o644), 0},
		{"a privileged process", cred.Root(), dir(7, 7, 0o1777), file(8, 8, 0o644), 0},
		{"anybody else", user(7), tmp, file(8, 8, 0o666), unix.EPERM},
		{"a directory that is not sticky", user(7), dir(0, 0, 0o777), file(8, 8, 0o666), 0},
	} {
		if e := perm.MayDelete(test.c, test.dir, test.victim); e != test.want {
			t.Errorf("%s: %v, want %v", test.name, e, test.want)
		}
	}
}

func TestNewInode(t *testing.T) {
	for _, test := range []struct {
		name   string
		parent perm.Inode
		mode   uint32
		want   perm.Inode
	}{
		{"a file belongs to the caller", dir(0, 0, 0o755), unix.S_IFREG | 0o6666, file(7, 7, 0o6644)},
		{"mkdir takes no set-id bits", dir(0, 0, 0o755), unix.S_IFDIR | 0o7777, dir(7, 7, 0o1755)},
		{"BSD semantics: the group of the directory", dir(0, 9, 0o2755), unix.S_IFREG | 0o666, file(7, 9, 0o644)},
		{"directories created there will also get the S_ISGID bit set", dir(0, 9, 0o2755), unix.S_IFDIR | 0o777, dir(7, 9, 0o2755)},
		{"no set-group-ID program of a foreign group", dir(0, 9, 0o2755), unix.S_IFREG | 0o2775, file(7, 9, 0o755)},
		{"one's own group", dir(0, 8, 0o2755), unix.S_IFREG | 0o2775, file(7, 8, 0o2755)},
	} {
		if got := perm.NewInode(user(7, 8), test.parent, test.mode, 0o022); got != test.want {
			t.Errorf("%s: %+v (%#o), want %+v (%#o)", test.name, got, got.Mode, test.want, test.want.Mode)
		}
	}
}

func TestSetXattr(t *testing.T) {
	for _, test := range []struct {
		name  string
		c     cred.Credentials
		inode perm.Inode
		want  unix.Errno
	}{
		{"user.a", user(8), file(7, 7, 0o666), 0},
		{"user.a", cred.Root(), perm.Inode{Mode: unix.S_IFIFO | 0o666}, unix.EPERM},
		{"user.a", user(8), dir(7, 7, 0o1777), unix.EPERM},
		{"user.a", user(7), dir(7, 7, 0o1777), 0},
		{"trusted.a", user(7), file(7, 7, 0o666), unix.EPERM},
		{"security.a", user(7), file(7, 7, 0o666), unix.EPERM},
		{"security.capability", user(7), file(7, 7, 0o666), unix.EPERM},
		{"security.capability", cred.Credentials{Effective: 1 << unix.CAP_SETFCAP}, file(7, 7, 0o666), 0},
		{"system.posix_acl_access", user(8), file(7, 7, 0o666), unix.EPERM},
		{"system.posix_acl_access", user(7), file(7, 7, 0o666), 0},
	} {
		if e := perm.SetXattr(test.c, test.inode, test.name, false); e != test.want {
			t.Errorf("%s of %+v by %+v: %v, want %v", test.name, test.inode, test.c, e, test.want)
		}
	}
}

// TestAllocs: handlers call these functions for each notification.
func TestAllocs(t *testing.T) {
	c := user(7, 8)
	if n := testing.AllocsPerRun(100, func() {
		i := perm.NewInode(c, dir(0, 8, 0o2777), unix.S_IFREG|0o2775, 0)
		i, e1 := perm.Chown(c, i, unchanged, 7)
		_, e2 := perm.Chmod(c, i, 0o644)
		if e := perm.SetXattr(c, i, "user.a", false); e|e1|e2 != 0 {
			t.Error(e, e1, e2)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
