package handlers

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// chown(2): "If the owner or group is specified as -1, then that ID is not
// changed."
func TestChown(t *testing.T) {
	for _, kind := range []string{"file", "directory", "symlink", "FIFO"} {
		c := newCaller(t)
		path := filepath.Join(t.TempDir(), kind)
		var err error
		switch kind {
		case "file":
			err = os.WriteFile(path, nil, 0o600)
		case "directory":
			err = os.Mkdir(path, 0o700)
		case "symlink":
			err = os.Symlink("none", path)
		case "FIFO":
			err = unix.Mkfifo(path, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct{ to, want owner.ID }{
			{owner.ID{UID: unset, GID: unset}, owner.ID{}},
			{owner.ID{UID: unset, GID: 43}, owner.ID{GID: 43}},
			{owner.ID{UID: 42, GID: unset}, owner.ID{UID: 42, GID: 43}},
			{owner.ID{UID: unset, GID: unset}, owner.ID{UID: 42, GID: 43}},
			{owner.ID{UID: unset, GID: 0}, owner.ID{UID: 42}},
			{owner.ID{UID: 65534, GID: unset - 1}, owner.ID{UID: 65534, GID: unset - 1}},
			{owner.ID{}, owner.ID{}},
		} {
			if r := c.do(Lchown, path, int(tt.to.UID), int(tt.to.GID)); r != (Result{}) {
				t.Errorf("%s: lchown to %v: %+v", kind, tt.to, r)
			}
			if got := c.stat(path); got != tt.want {
				t.Errorf("%s: after lchown to %v: %v, want %v", kind, tt.to, got, tt.want)
			}
		}
		if _, err := unix.Lgetxattr(path, owner.Xattr, nil); err == nil {
			t.Errorf("%s: an attribute for the mapped owner is left", kind)
		}
	}
}

func TestChownForms(t *testing.T) {
	c := newCaller(t)
	path := c.newFile(owner.ID{UID: 1, GID: 1})
	dir := filepath.Dir(path)
	link := filepath.Join(dir, "link")
	if err := os.Symlink("file", link); err != nil {
		t.Fatal(err)
	}
	open := func(path string, flags int) int {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	dirfd, fd, asPath := open(dir, unix.O_PATH), open(path, unix.O_RDONLY), open(path, unix.O_PATH)
	for n, tt := range []struct {
		name    string
		h       Handler
		args    func(id int) []any
		want    unix.Errno
		changed string
	}{
		{"chown", Chown, func(id int) []any { return []any{path, id, id} }, 0, path},
		{"chown of a link", Chown, func(id int) []any { return []any{link, id, id} }, 0, path},
		{"lchown of a link", Lchown, func(id int) []any { return []any{link, id, id} }, 0, link},
		{"fchown", Fchown, func(id int) []any { return []any{fd, id, id} }, 0, path},
		{"fchown of O_PATH", Fchown, func(id int) []any { return []any{asPath, id, id} }, unix.EBADF, ""},
		{"fchown of nothing", Fchown, func(id int) []any { return []any{-1, id, id} }, unix.EBADF, ""},
		{"fchownat", Fchownat, func(id int) []any { return []any{dirfd, "file", id, id, 0} }, 0, path},
		{"fchownat, nofollow", Fchownat, func(id int) []any { return []any{dirfd, "link", id, id, unix.AT_SYMLINK_NOFOLLOW} }, 0, link},
		{"fchownat, empty path", Fchownat, func(id int) []any { return []any{asPath, "", id, id, unix.AT_EMPTY_PATH} }, 0, path},
		{"fchownat, no empty path", Fchownat, func(id int) []any { return []any{asPath, "", id, id, 0} }, unix.ENOENT, ""},
		{"fchownat, unknown flag", Fchownat, func(id int) []any { return []any{dirfd, "file", id, id, unix.AT_REMOVEDIR} }, unix.EINVAL, ""},
		{"fchownat, bad dirfd", Fchownat, func(id int) []any { return []any{-1, "file", id, id, 0} }, unix.EBADF, ""},
		{"missing", Chown, func(id int) []any { return []any{path + ".none", id, id} }, unix.ENOENT, ""},
		{"below a file", Chown, func(id int) []any { return []any{path + "/x", id, id} }, unix.ENOTDIR, ""},
		{"bad address", Chown, func(id int) []any { return []any{8, id, id} }, unix.EFAULT, ""},
		{"16 bits", Chown16, func(id int) []any { return []any{path, 0x10000 + id, 0x10000 + id} }, 0, path},
		{"read-only file system of the kernel", Chown, func(id int) []any { return []any{"/proc/version", id, id} }, 0, ""},
		{"a device of another user of the host", Chown, func(id int) []any { return []any{"/dev/null", id, id} }, 0, "/dev/null"},
	} {
		id := 1000 + n
		if r := c.do(tt.h, tt.args(id)...); r != Errno(tt.want) {
			t.Errorf("%s: %+v, want error %v", tt.name, r, tt.want)
			continue
		}
		if tt.changed == "" {
			continue
		}
		if got := c.stat(tt.changed); got != (owner.ID{UID: uint32(id), GID: uint32(id)}) {
			t.Errorf("%s: owner %v, want %d", tt.name, got, id)
		}
	}
}

// The kernel changes the owner first, which clears the set-id bits.
func TestChownClearsSetID(t *testing.T) {
	c := newCaller(t)
	path := c.newFile(owner.ID{})
	if err := unix.Chmod(path, 0o6755); err != nil {
		t.Fatal(err)
	}
	if r := c.do(Chown, path, 42, 43); r != (Result{}) {
		t.Fatalf("%+v", r)
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil || st.Mode&0o7777 != 0o755 {
		t.Errorf("mode %o, %v; want 755", st.Mode&0o7777, err)
	}
}

func TestIDs16(t *testing.T) {
	for _, tt := range []struct{ arg, want uint32 }{
		{0, 0}, {42, 42}, {65534, 65534}, {65535, math.MaxUint32}, {math.MaxUint32, math.MaxUint32}, {0x1002a, 42}, {0x7fffffff, math.MaxUint32},
	} {
		c := newBareCall(0, uint64(tt.arg), uint64(tt.arg)|1<<40)
		if got := c.ids16(); got.UID != tt.want || got.GID != tt.want {
			t.Errorf("ids16 of %#x: %v, want %#x", tt.arg, got, tt.want)
		}
	}
}

// The owner of the host's device is recorded for this container only, and the device itself
// does not change.
func TestChownHostDevice(t *testing.T) {
	c := newDeviceCaller(t)
	c.call.Owners.Host = new(owner.HostOwners)
	before, _ := unix.Getxattr("/dev/null", owner.CapabilityXattr, nil)
	to := owner.ID{UID: 42, GID: 43}
	if r := c.do(Chown, "/dev/null", int(to.UID), int(to.GID)); r != (Result{}) {
		t.Fatalf("chown: %+v", r)
	}
	if got := c.stat("/dev/null"); got != to {
		t.Errorf("owner %v, want %v", got, to)
	}
	if after, _ := unix.Getxattr("/dev/null", owner.CapabilityXattr, nil); after != before {
		t.Errorf("%s of /dev/null has %d bytes, before %d", owner.CapabilityXattr, after, before)
	}
	if c.call.Owners.SidecarInUse() {
		t.Error("there is a record in the sidecar")
	}
	c.call.Owners.Host = new(owner.HostOwners)
	if got := c.stat("/dev/null"); got == to {
		t.Error("another container sees the owner, too")
	}
}
