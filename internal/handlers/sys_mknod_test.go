package handlers

import (
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestMknod(t *testing.T) {
	c := newDeviceCaller(t)
	dir := t.TempDir()
	for _, tt := range []struct {
		name string
		mode int
		dev  int
		want Result
		kind uint32 // of the inode, if one was made
	}{
		{"null", unix.S_IFCHR | 0o666, devNull, Result{}, unix.S_IFREG},
		{"zero", unix.S_IFCHR | 0o666, 1<<8 | 5, Result{}, unix.S_IFSOCK},
		{"block 1:3", unix.S_IFBLK | 0o666, devNull, Result{}, unix.S_IFSOCK},
		{"block 0:0", unix.S_IFBLK | 0o666, 0, Result{}, unix.S_IFSOCK},
		{"null", unix.S_IFCHR | 0o666, devNull, Errno(unix.EEXIST), 0},
		{"whiteout", unix.S_IFCHR, whiteout, Continue, 0},
		{"file", unix.S_IFREG | 0o644, 0, Continue, 0},
		{"no type", 0o644, 0, Continue, 0},
		{"fifo", unix.S_IFIFO, 0, Continue, 0},
		{"socket", unix.S_IFSOCK, 0, Continue, 0},
		{"directory", unix.S_IFDIR, 0, Continue, 0},
		{"symlink", unix.S_IFLNK, 0, Continue, 0},
		{"none/null", unix.S_IFCHR, devNull, Errno(unix.ENOENT), 0},
	} {
		path := filepath.Join(dir, tt.name)
		if r := c.do(Mknod, path, tt.mode, tt.dev); r != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, r, tt.want)
		}
		if tt.kind == 0 {
			continue
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil || st.Mode&unix.S_IFMT != tt.kind {
			t.Errorf("%s: the placeholder is of type %o, %v; want %o", tt.name, st.Mode&unix.S_IFMT, err, tt.kind)
		}
		b := make([]byte, statSize)
		if r := c.do(LstatPath(LayoutNative), path, b); r != (Result{}) {
			t.Fatalf("%s: lstat: %+v", tt.name, r)
		}
		shown := (*unix.Stat_t)(unsafe.Pointer(&b[0]))
		if got, want := shown.Mode&unix.S_IFMT, uint32(tt.mode)&unix.S_IFMT; got != want || shown.Rdev != uint64(tt.dev) {
			t.Errorf("%s: shown as type %o, device %#x; want %o, %#x", tt.name, got, shown.Rdev, want, tt.dev)
		}
	}
}
