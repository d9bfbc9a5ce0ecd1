package handlers

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// newDeviceCaller returns a caller that has the host's devices.
func newDeviceCaller(t *testing.T) *caller {
	t.Helper()
	c := newCaller(t)
	devices, err := OpenDevices()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, fd := range devices {
			unix.Close(fd)
		}
	})
	c.call.Devices = devices
	return c
}

// open opens the placeholder at path as the device rec.
func (c *caller) open(path string, rec owner.Record, flags uint64) Result {
	c.t.Helper()
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	i := c.call.borrow(fd, new(unix.Stat_t)) // not a regular file, so that null is opened, too
	defer c.call.close(i)
	i.record = rec
	return c.call.openDevice(i, flags)
}

// newPlaceholder makes a file that may stand for a device.
func (c *caller) newPlaceholder() string {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), "device")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

func TestOpenDevice(t *testing.T) {
	c := newDeviceCaller(t)
	path := c.newPlaceholder()
	character := func(rdev uint64) owner.Record { return owner.Record{Type: unix.S_IFCHR, Rdev: rdev} }
	for name, rdev := range hostDevices {
		for _, flags := range []uint64{
			unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR | unix.O_CLOEXEC, unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC,
			unix.O_WRONLY | unix.O_NOFOLLOW | unix.O_NOATIME | unix.O_NONBLOCK, unix.O_WRONLY | unix.O_APPEND,
		} {
			r := c.open(path, character(rdev), flags)
			if !r.File || r.Errno != 0 || r.CloseOnExec != (flags&unix.O_CLOEXEC != 0) {
				t.Errorf("%s, flags %#x: %+v", name, flags, r)
				continue
			}
			fd := int(r.Val)
			var st unix.Stat_t
			if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != rdev {
				t.Errorf("%s, flags %#x: mode %o, device %#x, %v", name, flags, st.Mode, st.Rdev, err)
			}
			got, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
			const status = unix.O_ACCMODE | unix.O_NONBLOCK | unix.O_APPEND
			if err != nil || uint64(got)&status != flags&status {
				t.Errorf("%s, flags %#x: has %#x, %v", name, flags, got, err)
			}
			unix.Close(fd)
		}
	}
	for _, tt := range []struct {
		name  string
		rec   owner.Record
		flags uint64
		want  Result
	}{
		{"O_PATH", character(devNull), unix.O_PATH | unix.O_CLOEXEC, Continue},
		{"O_PATH wins", character(devNull), unix.O_PATH | unix.O_CREAT | unix.O_EXCL, Continue},
		{"O_EXCL", character(devNull), unix.O_RDWR | unix.O_CREAT | unix.O_EXCL, Errno(unix.EEXIST)},
		{"O_DIRECTORY", character(devNull), unix.O_RDONLY | unix.O_DIRECTORY, Continue},
		{"a disk", owner.Record{Type: unix.S_IFBLK, Rdev: 0x800}, unix.O_RDWR, Errno(unix.ENXIO)},
		{"a block device of null's number", owner.Record{Type: unix.S_IFBLK, Rdev: devNull}, unix.O_RDWR, Errno(unix.ENXIO)},
		{"mem", character(1<<8 | 1), unix.O_RDWR, Errno(unix.ENXIO)},
		{"console", character(5<<8 | 1), unix.O_RDWR, Errno(unix.ENXIO)},
		{"the last device", character(0xffffffff), unix.O_RDWR | unix.O_CREAT, Errno(unix.ENXIO)},
	} {
		if r := c.open(path, tt.rec, tt.flags); r != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, r, tt.want)
		}
	}
}

// What is written to null disappears, and the placeholder stays empty.
func TestDevicesBehave(t *testing.T) {
	c := newDeviceCaller(t)
	path := c.newPlaceholder()
	open := func(rdev uint64) *os.File {
		r := c.open(path, owner.Record{Type: unix.S_IFCHR, Rdev: rdev}, unix.O_RDWR)
		if !r.File {
			t.Fatalf("%#x: %+v", rdev, r)
		}
		return os.NewFile(uintptr(r.Val), "device")
	}
	null, zero, full := open(devNull), open(1<<8|5), open(1<<8|7)
	defer null.Close()
	defer zero.Close()
	defer full.Close()
	if n, err := null.WriteString("gone"); n != 4 || err != nil {
		t.Errorf("null: %d, %v", n, err)
	}
	b := []byte("data")
	if n, err := zero.Read(b); n != 4 || err != nil || string(b) != "\x00\x00\x00\x00" {
		t.Errorf("zero: %q, %d, %v", b, n, err)
	}
	if _, err := full.WriteString("x"); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("full: %v, want ENOSPC", err)
	}
	if content, err := os.ReadFile(path); err != nil || len(content) != 0 {
		t.Errorf("the placeholder holds %q, %v", content, err)
	}
}

func TestNodev(t *testing.T) {
	c := newDeviceCaller(t)
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", unix.MS_NODEV, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	path := filepath.Join(dir, "null")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	null := owner.Record{Type: unix.S_IFCHR, Rdev: devNull}
	if r := c.open(path, null, unix.O_WRONLY); r != Errno(unix.EACCES) {
		t.Errorf("%+v, want EACCES", r)
	}
	if r := c.open(path, null, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL); r != Errno(unix.EEXIST) {
		t.Errorf("%+v, want EEXIST, which comes first", r)
	}
}

// A mount namespace may lack any of the devices; the others can be used.
func TestOpenMissingDevices(t *testing.T) {
	newCaller(t)
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("/dev/zero", "/dev/full", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	devices, err := OpenDevices()
	if err == nil || err.Error() != "/dev/full is not the expected device" {
		t.Errorf("error %v", err)
	}
	for path, rdev := range hostDevices {
		if _, ok := devices[rdev]; ok == (path == "/dev/full") {
			t.Errorf("%s in %v: %v", path, devices, ok)
		}
	}
	for _, fd := range devices {
		unix.Close(fd)
	}
}

// A device that not every host has is used if the user may open it, and if it is the right
// one.
func TestOpenOptionalDevices(t *testing.T) {
	newCaller(t)
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	for path, rdev := range optionalDevices {
		usable := unix.Access(path, unix.R_OK|unix.W_OK) == nil
		for _, other := range []bool{false, true} {
			if other {
				if err := unix.Mount("/dev/zero", path, "", unix.MS_BIND, ""); err != nil {
					t.Logf("%s: %v", path, err) // not on this host
					continue
				}
			}
			devices, err := OpenDevices()
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := devices[rdev]; ok != (usable && !other) {
				t.Errorf("%s: usable %v, another device %v: opened %v", path, usable, other, ok)
			}
			for _, fd := range devices {
				unix.Close(fd)
			}
		}
	}
}
