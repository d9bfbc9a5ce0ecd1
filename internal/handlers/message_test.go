package handlers

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// Control messages in both layouts are read as they have been written.
func TestControl(t *testing.T) {
	for _, long := range []int{4, 8} {
		b := make([]byte, 64)
		putControlHeader(b, 5, 1, 2, long)
		copy(b[controlHeader(long):], "hello")
		second := controlSpace(5, long)
		putControlHeader(b[second:], 0, 3, 4, long)
		end := second + controlHeader(long)
		level, kind, data, rest, ok := nextControl(b[:end], long)
		if !ok || level != 1 || kind != 2 || string(data) != "hello" {
			t.Errorf("long %d, first: %d %d %q %t", long, level, kind, data, ok)
		}
		level, kind, data, rest, ok = nextControl(rest, long)
		if !ok || level != 3 || kind != 4 || len(data) != 0 || len(rest) != 0 {
			t.Errorf("long %d, second: %d %d %q %t", long, level, kind, data, ok)
		}
		for _, size := range []int{0, controlHeader(long) - 1, end + 1} {
			bad := bytes.Clone(b[:end])
			putControlHeader(bad, size-controlHeader(long), 1, 2, long)
			if _, _, _, _, ok := nextControl(bad, long); ok {
				t.Errorf("long %d: a message of %d bytes in %d", long, size, end)
			}
		}
	}
}

// The kernel finds errors in control messages; names of other kinds do not matter.
func TestNamesCredentials(t *testing.T) {
	type control struct {
		level, kind int32
		size        int
	}
	ids, files := control{unix.SOL_SOCKET, unix.SCM_CREDENTIALS, 12}, control{unix.SOL_SOCKET, unix.SCM_RIGHTS, 4}
	for _, tt := range []struct {
		list []control
		want bool
	}{
		{nil, false}, {[]control{files}, false}, {[]control{ids}, true}, {[]control{files, ids, files}, true},
		{[]control{ids, {unix.IPPROTO_IP, 77, 4}}, true}, {[]control{ids, {unix.SOL_SOCKET, 77, 4}}, false},
		{[]control{ids, {unix.SOL_SOCKET, unix.SCM_CREDENTIALS, 8}}, false},
	} {
		for _, long := range []int{4, 8} {
			b, used := make([]byte, 256), 0
			for _, c := range tt.list {
				putControlHeader(b[used:], c.size, c.level, c.kind, long)
				used += controlSpace(c.size, long)
			}
			if got := namesCredentials(b[:used], long); got != tt.want {
				t.Errorf("%v, long %d: %t", tt.list, long, got)
			}
		}
	}
}

func TestToken(t *testing.T) {
	want := token{pidNS: 1, host: 2, seen: 3, uid: 4, gid: 5}
	fd, e := newToken(&want)
	if e != 0 {
		t.Fatal(e)
	}
	defer unix.Close(fd)
	var got token
	if !readToken(fd, &got) || got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if _, err := unix.Pwrite(fd, []byte{1}, 0); err != unix.EPERM {
		t.Errorf("writing to a token: %v, want EPERM", err)
	}
	for _, seals := range []int{0, tokenSeals} {
		other, err := unix.MemfdCreate("other", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(other)
		if err := unix.Ftruncate(other, int64(tokenSize)); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.FcntlInt(uintptr(other), unix.F_ADD_SEALS, seals); err != nil {
			t.Fatal(err)
		}
		if readToken(other, &got) {
			t.Errorf("another file with the seals %#x is a token", seals)
		}
	}
}
