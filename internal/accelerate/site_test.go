package accelerate

import (
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseSite(t *testing.T) {
	const fstatat, after = 0x106, 0x7f12_3456_789a
	for _, tt := range []struct {
		name, code string
		size       int // of load and moves; 0: no call site
	}{
		{"the GNU C library's fstatat", "90 41 89 ca b8 06 01 00 00 0f 05", 5},
		{"moves between load and call", "53 b8 06 01 00 00 49 89 ca 48 89 f2 31 ff 0f 05", 13},
		{"constants", "53 b8 06 01 00 00 be 00 01 00 00 41 ba 00 01 00 00 0f 05", 16},
		{"sign-extended constant", "53 b8 06 01 00 00 48 c7 c7 9c ff ff ff 0f 05", 12},
		{"64-bit constant", "53 b8 06 01 00 00 48 ba 88 77 66 55 44 33 22 11 0f 05", 15},
		{"another number", "90 b8 07 01 00 00 0f 05", 0},
		{"upper bytes of the number", "90 b8 06 01 00 01 0f 05", 0},
		{"no syscall", "90 b8 06 01 00 00 cd 80", 0},
		{"loads from memory", "90 b8 06 01 00 00 48 8b 7c 24 08 0f 05", 0},
		{"depends on the address", "90 b8 06 01 00 00 48 8d 3d 00 00 00 00 0f 05", 0},
		{"calls", "90 b8 06 01 00 00 e8 00 00 00 00 0f 05", 0},
		{"a move to r8", "41 b8 06 01 00 00 0f 05", 0},
		{"the end of a 64-bit constant", "48 b8 06 01 00 00 0f 05 00 00 0f 05", 0},
		{"popcnt", "f3 0f b8 06 01 00 00 0f 05", 0},
		{"too far", "90 b8 06 01 00 00 48 ba 88 77 66 55 44 33 22 11 48 be 88 77 66 55 44 33 22 11 0f 05", 0},
		{"part of a move", "90 b8 06 01 00 00 48 0f 05", 0},
		{"nothing before", "b8 06 01 00 00 0f 05", 0},
		{"short", "05", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := unhex(t, tt.code)
			s, ok := parseSite(before, after, fstatat)
			if ok != (tt.size > 0) || len(s.code) != tt.size {
				t.Fatalf("%v, %d bytes, want %d", ok, len(s.code), tt.size)
			}
			if ok && (s.load != after-2-uint64(tt.size) || s.after() != after) {
				t.Errorf("load at %#x, after %#x", s.load, s.after())
			}
		})
	}
}

// Go's call site is a whole function with room behind it, and nothing else is.
func TestGoFunction(t *testing.T) {
	whole := goMoves + "\x0f\x05" + goReturn + strings.Repeat("\xcc", goRoom)
	if !isGoFunction([]byte(whole)) {
		t.Error("the function is none")
	}
	if with := whole[:goSize] + "\xe9\x01\x02\x03\x04" + whole[goSize+loadSize:]; !isGoFunction([]byte(with)) {
		t.Error("with the jump, it is none")
	}
	for at := len(goMoves) + syscallSize; at < len(whole); at++ {
		broken := []byte(whole)
		broken[at]++
		if isGoFunction(broken) {
			t.Errorf("it is one if byte %d is another", at)
		}
	}
	if isGoFunction([]byte(whole[:len(whole)-1])) {
		t.Error("it is one without room")
	}
}

func TestComparison(t *testing.T) {
	for code, size := range map[string]int{
		"48 3d 00 f0 ff ff": 6, "48 3d 01 f0 ff ff": 6, "3d 00 f0 ff ff 77": 5,
		"48 89 c7 e8 00 00": 0, "c3 90 90 90 90 90": 0, "48 83 f8 ff 74 01": 0,
	} {
		if got, ok := comparison(unhex(t, code)); ok != (size > 0) || len(got) != size {
			t.Errorf("%s: %x, %v", code, got, ok)
		}
	}
}
