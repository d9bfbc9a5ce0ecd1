package accelerate

import "testing"

// FuzzMaps parses /proc/PID/maps, with names that a process chooses.
func FuzzMaps(f *testing.F) {
	f.Add([]byte("55d0c0a00000-55d0c0a21000 r-xp 00002000 08:01 1234 /bin/cat\n7ffe0000-7fff0000 rw-s 0 0:1 0 /memfd:" + memfdName + " (deleted)\n"))
	f.Add([]byte("0-0 ---p 0 0:0 0"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := parseMaps(text)
		if err != nil {
			return
		}
		for _, m := range all {
			if i := containing(all, m.start); m.start < m.end && (i < 0 || all[i].start > m.start || all[i].end <= m.start) {
				t.Errorf("%q: %#x is in mapping %d", text, m.start, i)
			}
		}
	})
}

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
