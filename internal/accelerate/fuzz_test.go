package accelerate

import "testing"

// FuzzSite looks for a call site in the code of a process. What it finds loads the number, and does
// nothing else than moves.
func FuzzSite(f *testing.F) {
	f.Add([]byte("\x90\xb8\x06\x00\x00\x00\x0f\x05"), uint64(0x1000), uint32(6))
	f.Add([]byte("\xc3\xb8\x01\x00\x00\x00\x48\x89\xf7\x0f\x05"), uint64(1<<63), uint32(1))
	f.Add([]byte("\x00\xb8\x01\x00\x00\x00\x49\xba\x01\x02\x03\x04\x05\x06\x07\x08\x0f\x05"), uint64(0), uint32(1))
	f.Fuzz(func(t *testing.T, before []byte, after uint64, nr uint32) {
		s, ok := parseSite(before, after, nr)
		if !ok {
			return
		}
		if s.after() != after || len(s.code) > loadSize+maxMoves || s.code[0] != 0xb8 || le.Uint32(s.code[1:]) != nr || !areMoves(s.code[loadSize:]) {
			t.Errorf("% x before %#x: % x at %#x", before, after, s.code, s.load)
		}
	})
}
