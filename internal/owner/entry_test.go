package owner

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

func TestEntry(t *testing.T) {
	for _, tt := range []struct {
		entry string
		want  Record
	}{
		{"0:0", Record{}},
		{"42:43", Record{ID: ID{42, 43}}},
		{"4294967295:4294967294", Record{ID: ID{Noop, Noop - 1}}},
		{"0:0:c:1:3", Record{Type: unix.S_IFCHR, Rdev: 0x103}},
		{"42:43:b:8:17", Record{ID: ID{42, 43}, Type: unix.S_IFBLK, Rdev: 0x811}},
		{"0:6:b:259:300", Record{ID: ID{0, 6}, Type: unix.S_IFBLK, Rdev: 0x11032c}},
		{"4294967295:4294967295:c:4095:1048575", Record{ID: Unchanged, Type: unix.S_IFCHR, Rdev: 0xffffffff}},
	} {
		var got Record
		if ok := got.parseEntry([]byte(tt.entry)); !ok || !cmp.Equal(got, tt.want, cmpopts.IgnoreUnexported(Record{})) {
			t.Errorf("%q: %v, %+v; want %+v", tt.entry, ok, got, tt.want)
		}
		if text := string(tt.want.appendEntry(nil)); text != tt.entry || len(text)+1 >= maxEntry {
			t.Errorf("%+v is written as %q, want %q, shorter than %d", tt.want, text, tt.entry, maxEntry)
		}
	}
	var padded Record
	if ok := padded.parseEntry([]byte("0042:43")); !ok || padded.ID != (ID{42, 43}) {
		t.Errorf("leading zeros: %v, %v", ok, padded.ID)
	}
}

func TestParseEntryRejects(t *testing.T) {
	for _, entry := range []string{
		"", ":", "42", "42:", ":43", "42:43:44", "-1:0", "+1:0", " 1:0", "1:0\n", "0x1:0",
		"4294967296:0", "0:4294967296", "9999999999:0",
		"18446744073709551658:0", // 2^64+42
		"/etc/passwd",
		"1:2:", "1:2:c", "1:2:c:", "1:2:c:3", "1:2:c:3:", "1:2:c::4", "1:2:c:3:4:", "1:2:c:3:4:5", "1:2:c:3:4x", "1:2:x:3:4", "1:2::3:4",
		"1:2:cc:3:4", "1:2:c:4096:0", "1:2:c:0:1048576", "1:2:c:-1:3", "1:2:p:0:0",
	} {
		r := Record{ID: Unchanged}
		if r.parseEntry([]byte(entry)) || r.ID != Unchanged || r.Type != 0 || r.Rdev != 0 {
			t.Errorf("%q is read as %+v, want it to be rejected", entry, r)
		}
	}
}

// FuzzEntry checks that every entry that parses is a possible record, and parses to the
// same record when it is written again.
func FuzzEntry(f *testing.F) {
	for _, seed := range []string{"0:0", "42:43", "1:2:c:1:3", "4294967295:4294967295:b:4095:1048575", "1:2:c:4096:0", ":::::"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		var r, again Record
		if !r.parseEntry([]byte(entry)) {
			return
		}
		if r.Type != 0 && !isDevice(uint64(r.Type), r.Rdev) || strings.Count(entry, ":") != 1 && r.Type == 0 {
			t.Errorf("%q is read as %+v", entry, r)
		}
		text := r.appendEntry(nil)
		if !again.parseEntry(text) || !cmp.Equal(again, r, cmpopts.IgnoreUnexported(Record{})) {
			t.Errorf("%q is read as %+v, and %q as %+v", entry, r, text, again)
		}
	})
}
