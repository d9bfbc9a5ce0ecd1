package idmap

import (
	"slices"
	"testing"
)

// FuzzParse parses what a program writes to a map. Each id of a map that is accepted has one
// counterpart, and its text means the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte("0 1000 1"))
	f.Add([]byte("0 0 4294967295\n"))
	f.Add([]byte("  0\t100000 65536\n65536 0 1\n\n"))
	f.Add([]byte("4294967295 0 1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, e := Parse(text)
		if e != 0 {
			return
		}
		for _, x := range m {
			for _, i := range []uint32{0, x.Count - 1} {
				if inside, outside := x.Inside+i, x.Outside+i; m.ToOutside(inside) != outside || m.ToInside(outside) != inside {
					t.Errorf("%q: %d leads to %d, and %d to %d", text, inside, m.ToOutside(inside), outside, m.ToInside(outside))
				}
			}
		}
		if again, e := Parse(m.Compact()); len(m.Compact()) < maxText && (e != 0 || !slices.Equal(again, m)) {
			t.Errorf("%v, then %v, %v", m, again, e)
		}
	})
}
