package idmap

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestParse(t *testing.T) {
	// 340 lines of less than 12 characters fit in a page.
	most := make(Map, MaxExtents)
	for i := range most {
		most[i] = Extent{uint32(i), uint32(i), 1}
	}
	for _, tt := range []struct {
		name, text string
		want       Map // nil: EINVAL
	}{
		{"one line", "0 1000 1\n", Map{{0, 1000, 1}}},
		{"without a newline", "0 1000 1", Map{{0, 1000, 1}}},
		{"columns", "         0       1000          1\n", Map{{0, 1000, 1}}},
		{"tabs and a trailing space", "0\t1000\t1 \n", Map{{0, 1000, 1}}},
		{"two lines", "0 1000 1\n1 100000 65536\n", Map{{0, 1000, 1}, {1, 100000, 65536}}},
		{"all ids", "0 0 4294967295\n", Map{{0, 0, 4294967295}}},
		{"text after a NUL", "0 0 1\x00x", Map{{0, 0, 1}}},
		{"numbers above 32 bits are cut", "4294967296 0 1\n", Map{{0, 0, 1}}},
		{"no count", "0 1000\n", nil},
		{"count 0", "0 1000 0\n", nil},
		{"count too large", "1 0 4294967295\n", nil},
		{"outside too large", "0 1 4294967295\n", nil},
		{"the id -1", "4294967295 0 1\n", nil},
		{"the outside id -1", "0 4294967295 1\n", nil},
		{"a fourth field", "0 1000 1 1\n", nil},
		{"a letter", "0 1000 1x\n", nil},
		{"a sign", "-1 1000 1\n", nil},
		{"hexadecimal", "0x1 1000 1\n", nil},
		{"empty", "", nil},
		{"an empty line", "0 1000 1\n\n1 1001 1\n", nil},
		{"the same inside", "0 1000 1\n0 1001 1\n", nil},
		{"the same outside", "0 1000 1\n1 1000 1\n", nil},
		{"overlapping ranges", "0 1000 10\n9 2000 10\n", nil},
		{"a range in a range", "0 1000 10\n5 2000 1\n", nil},
		{"adjacent ranges", "0 1000 10\n10 1010 10\n", Map{{0, 1000, 10}, {10, 1010, 10}}},
		{"as many lines as possible", string(most.Compact()), most},
		{"too many lines", string(append(most, Extent{MaxExtents, MaxExtents, 1}).Compact()), nil},
		{"a page", strings.Repeat(" ", 4090) + "0 0 1\n", nil},
	} {
		got, e := Parse([]byte(tt.text))
		if diff := cmp.Diff(tt.want, got); diff != "" || (e == unix.EINVAL) != (tt.want == nil) {
			t.Errorf("%s: error %v, map (-want +got):\n%s", tt.name, e, diff)
		}
	}
}

// Translating there and back gives the same id, and ids outside of all extents are not mapped.
func TestTranslate(t *testing.T) {
	m := Map{{0, 1000, 1}, {1, 100000, 65536}, {4294967290, 5, 5}}
	for _, tt := range []struct{ inside, outside uint32 }{
		{0, 1000}, {1, 100000}, {65536, 165535}, {4294967290, 5}, {4294967294, 9},
		{65537, None}, {4294967289, None}, {None, None},
	} {
		if got := m.ToOutside(tt.inside); got != tt.outside {
			t.Errorf("ToOutside(%d) = %d, want %d", tt.inside, got, tt.outside)
		}
		if tt.outside != None && m.ToInside(tt.outside) != tt.inside {
			t.Errorf("ToInside(%d) = %d, want %d", tt.outside, m.ToInside(tt.outside), tt.inside)
		}
	}
	for _, outside := range []uint32{0, 4, 10, 999, 1001, 99999, 165536, None} {
		if got := m.ToInside(outside); got != None {
			t.Errorf("ToInside(%d) = %d, want none", outside, got)
		}
	}
	for range 1000 {
		id := rand.Uint32()
		if outside := m.ToOutside(id); outside != None && m.ToInside(outside) != id {
			t.Errorf("%d -> %d -> %d", id, outside, m.ToInside(outside))
		}
	}
	if got := (Map)(nil).ToOutside(0); got != None {
		t.Errorf("an empty map translates 0 to %d", got)
	}
}

func TestThrough(t *testing.T) {
	parent := Map{{0, 1000, 1}, {1, 100000, 10}}
	for _, tt := range []struct {
		name string
		m    Map
		want Map // nil: not mapped
	}{
		{"root", Map{{5, 0, 1}}, Map{{5, 1000, 1}}},
		{"a part of a range", Map{{0, 3, 4}}, Map{{0, 100002, 4}}},
		{"two extents", Map{{0, 0, 1}, {1, 1, 10}}, Map{{0, 1000, 1}, {1, 100000, 10}}},
		{"across extents", Map{{0, 0, 2}}, nil},
		{"beyond the end", Map{{0, 1, 11}}, nil},
		{"not mapped", Map{{0, 11, 1}}, nil},
	} {
		got, ok := tt.m.Through(parent)
		if diff := cmp.Diff(tt.want, got); diff != "" || ok != (tt.want != nil) {
			t.Errorf("%s: %v (-want +got):\n%s", tt.name, ok, diff)
		}
	}
}

func TestAppend(t *testing.T) {
	m := Map{{0, 1000, 1}, {1, 1, 4294967294}}
	got := string(m.Append(nil, func(id uint32) uint32 { return id + 1 }))
	want := "         0       1001          1\n         1          2 4294967294\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
