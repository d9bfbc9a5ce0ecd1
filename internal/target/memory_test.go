package target

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReadString(t *testing.T) {
	s := startTask(t)
	task := enter(t)
	task.Reset(uint32(s.pid))
	page := os.Getpagesize()
	long := strings.Repeat("x", unix.PathMax)
	for _, tt := range []struct {
		name string
		at   int // offset of text in the task's memory
		text string
		room int
		want string
		err  unix.Errno
	}{
		{"short", 0, "abc\x00", 4096, "abc", 0},
		{"empty", 0, "\x00", 4096, "", 0},
		{"only up to the first NUL", 0, "abc\x00def\x00", 4096, "abc", 0},
		{"one more than the first read", 0, long[:firstRead] + "\x00", 4096, long[:firstRead], 0},
		{"across a page", page - 2, "abcdef\x00", 4096, "abcdef", 0},
		{"across two pages", page - 2, long[:page-8] + "yyyyyyyyyy\x00", 8192, long[:page-8] + "yyyyyyyyyy", 0},
		{"4095 bytes", 0, long[:4095] + "\x00", 4096, long[:4095], 0},
		{"4096 bytes", 0, long[:4096] + "\x00", 4096, "", unix.ENAMETOOLONG},
		{"4095 bytes, not at the start of a page", 77, long[:4095] + "\x00", 4096, long[:4095], 0},
		{"fits exactly", 0, "abc\x00", 4, "abc", 0},
		{"does not fit", 0, "abcd\x00", 4, "", unix.ENAMETOOLONG},
		{"ends where the memory ends", pages*page - 4, "abc\x00", 4096, "abc", 0},
		{"long, ends where the memory ends", pages*page - 301, long[:300] + "\x00", 4096, long[:300], 0},
		{"runs off the memory", pages*page - 4, "abcd", 4096, "", unix.EFAULT},
		{"too long before it runs off", pages*page - 4, "abcd", 4, "", unix.ENAMETOOLONG},
		{"starts after the memory", pages * page, "", 4096, "", unix.EFAULT},
		{"NULL", -memory, "", 4096, "", unix.EFAULT},
		{"the last address", -memory - 1, "", 4096, "", unix.EFAULT},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.text != "" {
				copy(s.mem[tt.at:], tt.text)
			}
			b := make([]byte, tt.room)
			n, e := task.ReadString(memory+uintptr(tt.at), b)
			if e != tt.err || e == 0 && string(b[:n]) != tt.want {
				t.Errorf("%d bytes, %v; want %d bytes, %v", n, e, len(tt.want), tt.err)
			}
		})
	}
}

func TestReadAndWrite(t *testing.T) {
	s := startTask(t)
	task := enter(t)
	task.Reset(uint32(s.pid))
	end := pages * os.Getpagesize()
	copy(s.mem[end-4:], "abcd")
	b := make([]byte, 8)
	if n, e := task.Read(memory+uintptr(end-4), b); e != 0 || string(b[:n]) != "abcd" {
		t.Errorf("Read at the end: %q, %v; want the mapped part", b[:n], e)
	}
	if n, e := task.Read(memory+uintptr(end), b); e != unix.EFAULT {
		t.Errorf("Read after the end: %d, %v; want EFAULT", n, e)
	}
	if n, e := task.Read(memory+uintptr(end), nil); n != 0 || e != 0 {
		t.Errorf("Read of nothing: %d, %v", n, e)
	}
	if e := task.Write(memory+8, []byte("hello")); e != 0 || !bytes.Equal(s.mem[8:13], []byte("hello")) {
		t.Errorf("Write: %v, the memory has %q", e, s.mem[8:13])
	}
	if e := task.Write(memory+uintptr(end-4), []byte("12345678")); e != unix.EFAULT {
		t.Errorf("Write across the end: %v, want EFAULT", e)
	}
	task.Reset(1 << 30)
	if _, e := task.Read(memory, b); e != unix.ESRCH {
		t.Errorf("Read of no task: %v, want ESRCH", e)
	}
	if e := task.Write(memory, b); e != unix.EFAULT {
		t.Errorf("Write to no task: %v, want EFAULT", e)
	}
}
