package handlers

import (
	"math"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestOverflow(t *testing.T) {
	for _, tt := range []struct {
		name                 string
		change               func(*unix.Stat_t)
		stat64, stat, oldone bool // does it fit?
	}{
		{"small", func(*unix.Stat_t) {}, true, true, true},
		{"2 GiB - 1", func(st *unix.Stat_t) { st.Size = 1<<31 - 1 }, true, true, true},
		{"inode 65535", func(st *unix.Stat_t) { st.Ino = 0xffff }, true, true, true},
		{"inode 65536", func(st *unix.Stat_t) { st.Ino = 0x10000 }, true, true, false},
		{"inode 2^32-1", func(st *unix.Stat_t) { st.Ino = math.MaxUint32 }, true, true, false},
		{"inode 2^32", func(st *unix.Stat_t) { st.Ino = 1 << 32 }, true, false, false},
		{"65535 links", func(st *unix.Stat_t) { st.Nlink = 0xffff }, true, true, true},
		{"65536 links", func(st *unix.Stat_t) { st.Nlink = 0x10000 }, true, false, false},
		{"2 GiB", func(st *unix.Stat_t) { st.Size = 1 << 31 }, true, false, true},
		{"large ids", func(st *unix.Stat_t) { st.Uid, st.Gid = 0x10000, math.MaxUint32 }, true, true, true},
	} {
		for _, l := range []struct {
			name   string
			layout Layout
			size   int
			fits   bool
		}{
			{"native", LayoutNative, int(unsafe.Sizeof(unix.Stat_t{})), true},
			{"stat64", LayoutI386Stat64, 96, tt.stat64},
			{"stat", LayoutI386, 64, tt.stat},
			{"oldstat", LayoutI386Old, 32, tt.oldone},
		} {
			st := unix.Stat_t{Dev: unix.Mkdev(8, 1), Ino: 12, Mode: unix.S_IFREG | 0o644, Nlink: 1, Size: 5, Blksize: 4096}
			tt.change(&st)
			var b [statSize]byte
			n, e := l.layout(&st, &b)
			if l.fits && (e != 0 || n != l.size) || !l.fits && e != unix.EOVERFLOW {
				t.Errorf("%s of %s: %d bytes, error %v; fits: %v", l.name, tt.name, n, e, l.fits)
			}
		}
	}
}

// "16-bit UID system calls": an id that does not fit is shown as overflowuid.
func TestNarrow(t *testing.T) {
	for id, want := range map[uint32]uint16{0: 0, 42: 42, 65534: 65534, 65535: 65535, 65536: 65534, math.MaxUint32: 65534, 0x10000 + 42: 65534} {
		if got := narrow(id); got != want {
			t.Errorf("narrow(%d) = %d, want %d", id, got, want)
		}
	}
}

func TestOldDev(t *testing.T) {
	for _, tt := range []struct {
		major, minor uint32
		want         uint64
	}{{0, 0, 0}, {8, 1, 0x801}, {10, 257, 0x100a01}, {0xfff, 0xfffff, 0xffffffff}, {0, 0x100, 0x100000}, {259, 0, 0x10300}} {
		if got := oldDev(unix.Mkdev(tt.major, tt.minor)); got != tt.want {
			t.Errorf("oldDev(%d, %d) = %#x, want %#x", tt.major, tt.minor, got, tt.want)
		}
	}
}
