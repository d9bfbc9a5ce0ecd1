package handlers

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/unotify"
)

func newBareCall(args ...uint64) *Call {
	n := new(unotify.Notif)
	copy(n.Data.Args[:], args)
	return &Call{Notif: n}
}

// i386Program prints sizes and offsets of the structures of <asm/stat.h>, and
// what the kernel stores in them for the files in its arguments.
const i386Program = `
#include <asm/stat.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#define F(s, f) printf("%s %zu\n", #s "." #f, offsetof(struct s, f));
#define Z(s) printf("%s %zu\n", "sizeof " #s, sizeof(struct s));
static void show(const char *name, int nr, int size, char *path) {
	unsigned char b[256];
	int r;
	memset(b, 0, sizeof b);
	__asm__ volatile("int $0x80" : "=a"(r) : "0"(nr), "b"(path), "c"(b) : "memory");
	printf("%s %s ", name, path);
	if (r < 0) printf("error %d", -r);
	else while (r < size) printf("%02x", b[r++]);
	printf("\n");
}
int main(int argc, char **argv) {
	Z(stat64) F(stat64, st_dev) F(stat64, __st_ino) F(stat64, st_mode) F(stat64, st_nlink) F(stat64, st_uid) F(stat64, st_gid)
	F(stat64, st_rdev) F(stat64, st_size) F(stat64, st_blksize) F(stat64, st_blocks) F(stat64, st_atime) F(stat64, st_mtime)
	F(stat64, st_ctime) F(stat64, st_ino)
	Z(stat) F(stat, st_dev) F(stat, st_ino) F(stat, st_mode) F(stat, st_nlink) F(stat, st_uid) F(stat, st_gid) F(stat, st_rdev)
	F(stat, st_size) F(stat, st_blksize) F(stat, st_blocks) F(stat, st_atime) F(stat, st_mtime) F(stat, st_ctime)
	Z(__old_kernel_stat) F(__old_kernel_stat, st_dev) F(__old_kernel_stat, st_ino) F(__old_kernel_stat, st_mode)
	F(__old_kernel_stat, st_nlink) F(__old_kernel_stat, st_uid) F(__old_kernel_stat, st_gid) F(__old_kernel_stat, st_rdev)
	F(__old_kernel_stat, st_size) F(__old_kernel_stat, st_atime) F(__old_kernel_stat, st_mtime) F(__old_kernel_stat, st_ctime)
	for (int i = 1; i < argc; i++) {
		show("lstat64", 196, sizeof(struct stat64), argv[i]);
		show("lstat", 107, sizeof(struct stat), argv[i]);
		show("oldlstat", 84, sizeof(struct __old_kernel_stat), argv[i]);
	}
}
`

// runI386 compiles the program for i386 and returns the lines that it prints.
func runI386(t *testing.T, args ...string) []string {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("needs gcc")
	}
	dir := t.TempDir()
	src, prog := filepath.Join(dir, "stat.c"), filepath.Join(dir, "stat")
	if err := os.WriteFile(src, []byte(i386Program), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(gcc, "-m32", "-o", prog, src).CombinedOutput(); err != nil {
		t.Skipf("needs gcc-multilib: %v\n%s", err, out)
	}
	out, err := exec.Command(prog, args...).Output()
	if err != nil {
		t.Skipf("this kernel runs no i386 programs: %v", err)
	}
	var lines []string
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines
}

var i386Layouts = []struct {
	call, name string
	layout     Layout
}{
	{"lstat64", "stat64", LayoutI386Stat64},
	{"lstat", "stat", LayoutI386},
	{"oldlstat", "__old_kernel_stat", LayoutI386Old},
}

// TestOffsets finds each field by a value that no other field has.
func TestOffsets(t *testing.T) {
	sample := unix.Stat_t{
		Dev: unix.Mkdev(0xa1, 0xb1), Ino: 0xc1c2, Mode: 0xd1d2, Nlink: 0xe1e2, Uid: 0xf1f2, Gid: 0xa3a4,
		Rdev: unix.Mkdev(0xb3, 0xb4), Size: 0xc3c4, Blksize: 0xd3d4, Blocks: 0xe3e4,
		Atim: unix.Timespec{Sec: 0xf3f4}, Mtim: unix.Timespec{Sec: 0xa5a6}, Ctim: unix.Timespec{Sec: 0xb5b6},
	}
	values := map[string]uint16{
		"st_dev": 0xa1b1, "__st_ino": 0xc1c2, "st_ino": 0xc1c2, "st_mode": 0xd1d2, "st_nlink": 0xe1e2, "st_uid": 0xf1f2, "st_gid": 0xa3a4,
		"st_rdev": 0xb3b4, "st_size": 0xc3c4, "st_blksize": 0xd3d4, "st_blocks": 0xe3e4,
		"st_atime": 0xf3f4, "st_mtime": 0xa5a6, "st_ctime": 0xb5b6,
	}
	checked := 0
	for _, line := range runI386(t) {
		var field string
		var offset int
		if _, err := fmt.Sscanf(strings.TrimPrefix(line, "sizeof "), "%s %d", &field, &offset); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		name, field, isField := strings.Cut(field, ".")
		for _, l := range i386Layouts {
			if l.name != name {
				continue
			}
			var b [statSize]byte
			n, e := l.layout(&sample, &b)
			if e != 0 {
				t.Fatal(e)
			}
			checked++
			if !isField && n != offset {
				t.Errorf("%s has %d bytes, want %d", name, n, offset)
			}
			if isField && le.Uint16(b[offset:]) != values[field] {
				t.Errorf("%s.%s at offset %d: %#x, want %#x", name, field, offset, le.Uint16(b[offset:]), values[field])
			}
		}
	}
	if checked < 35 {
		t.Errorf("only %d fields checked", checked)
	}
}

// TestI386MatchesKernel compares every byte with what the kernel stores for an i386 program.
func TestI386MatchesKernel(t *testing.T) {
	dir := t.TempDir()
	small := t.TempDir()
	if err := unix.Mount("none", small, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(small, unix.MNT_DETACH) })
	paths := []string{"/", "/dev/null", "/dev/userfaultfd", dir}
	for name, size := range map[string]int64{"small": 5, "2g-1": 1<<31 - 1, "2g": 1 << 31, "5g": 5 << 30} {
		for _, d := range []string{dir, small} { // a new tmpfs: inode numbers are small
			f, err := os.CreateTemp(d, name)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Truncate(size); err != nil {
				t.Log(err)
			}
			f.Close()
			paths = append(paths, f.Name())
		}
	}
	for _, line := range runI386(t, paths...) {
		call, rest, _ := strings.Cut(line, " ")
		path, want, _ := strings.Cut(rest, " ")
		for _, l := range i386Layouts {
			if l.call != call {
				continue
			}
			var st unix.Stat_t
			if err := unix.Lstat(path, &st); err != nil {
				continue
			}
			var b [statSize]byte
			n, e := l.layout(&st, &b)
			got := hex.EncodeToString(b[:n])
			if e != 0 {
				got = fmt.Sprintf("error %d", int(e))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s(%s), inode %d, size %d, rdev %#x (-kernel +ours):\n%s", call, path, st.Ino, st.Size, st.Rdev, diff)
			}
		}
	}
}
