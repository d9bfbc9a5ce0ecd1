package accelerate

import (
	"bytes"
	"testing"

	"github.com/rootless-containers/subuidless/internal/accelerate/blob"
)

func header(t *testing.T) *blob.Header {
	t.Helper()
	h, ok := blob.ParseHeader(blob.Code())
	if !ok {
		t.Fatal("the blob has no header")
	}
	return &h
}

// longest is a call site with as many moves as there may be.
func longest(load uint64) site {
	code := append([]byte{0xb8, 6, 1, 0, 0}, bytes.Repeat([]byte{0x48, 0x89, 0xf2}, maxMoves/3)...)
	return site{load, code}
}

func TestBootstrap(t *testing.T) {
	for _, s := range []site{longest(0x7f00_1234_5678), {0x7f00_1234_5678, []byte{0xb8, 6, 1, 0, 0}}} {
		b := bootstrap{0x7f00_1240_0f00, s, 0x7eff_f000_0000}
		code, ok := b.make(header(t))
		if !ok {
			t.Fatal("it does not fit")
		}
		got, ok := parseBootstrap(code[:], b.at)
		if !ok || got.at != b.at || got.mapping != b.mapping || got.site.load != s.load || !bytes.Equal(got.site.code, s.code) {
			t.Errorf("parsed %+v, %v, want %+v", got, ok, b)
		}
		// It makes the call in the ordinary way: with the code of the call site, and its
		// syscall instruction.
		plain := code[bootPlainAt:]
		if !bytes.HasPrefix(plain, s.code) {
			t.Errorf("makes the call with %x", plain[:len(s.code)])
		}
		to, ok := jumpTarget(plain[len(s.code):], b.at+bootPlainAt+uint64(len(s.code)))
		if !ok || to != s.after()-syscallSize {
			t.Errorf("jumps to %#x, want %#x", to, s.after()-syscallSize)
		}
		if code[bootOffAt] != 0 {
			t.Error("it is off")
		}
	}
}

func TestBootstrapTooFar(t *testing.T) {
	b := bootstrap{0x7f00_1240_0f00, longest(0x7f00_1234_5678 + 1<<33), 0x7eff_f000_0000}
	if _, ok := b.make(header(t)); ok {
		t.Error("it jumps over 8 GiB")
	}
}

func TestParseBootstrap(t *testing.T) {
	b := bootstrap{0x7f00_1240_0f00, longest(0x7f00_1234_5678), 0x7eff_f000_0000}
	code, _ := b.make(header(t))
	for name, broken := range map[string]func([]byte){
		"magic": func(c []byte) { c[bootMagicAt]++ },
		"short": func(c []byte) { c[bootCodeSizeAt] = loadSize - 1 },
		"long":  func(c []byte) { c[bootCodeSizeAt] = loadSize + maxMoves + 1 },
		"empty": func(c []byte) { clear(c) },
	} {
		c := bytes.Clone(code[:])
		broken(c)
		if _, ok := parseBootstrap(c, b.at); ok {
			t.Errorf("%s: it is parsed", name)
		}
	}
}

func TestSlot(t *testing.T) {
	const at, common = 0x7eff_f000_1040, 0x1234_5678_9abc
	s := longest(0x7f00_1234_5678)
	slot, ok := makeSlot(&s, at, common)
	if !ok || !bytes.HasPrefix(slot[:], s.code) || le.Uint64(slot[slotSiteAt:]) != s.load {
		t.Fatalf("%v, %x", ok, slot)
	}
	lea := slot[len(s.code):]
	if after := at + uint64(len(s.code)) + 7 + uint64(int64(int32(le.Uint32(lea[3:])))); !bytes.HasPrefix(lea, []byte{0x48, 0x8d, 0x0d}) || after != s.after() {
		t.Errorf("returns to %#x, want %#x", after, s.after())
	}
	jump := lea[7:]
	if from := len(s.code) + 7 + 6 + int(le.Uint32(jump[2:])); !bytes.HasPrefix(jump, []byte{0xff, 0x25}) || le.Uint64(slot[from:]) != common {
		t.Errorf("jumps to what is at %d of % x", from, slot)
	}
	far := longest(0x7f00_1234_5678 + 1<<32)
	if _, ok := makeSlot(&far, at, common); ok {
		t.Error("a slot for a call site that is too far away")
	}
}

// Bootstraps and slots are in a tail side by side, from its end.
func TestTail(t *testing.T) {
	const start = 0x7f00_1240_0c40
	tail := tail{start, make([]byte, 0x3c0)}
	empty := func(_ uint64, content []byte) bool { return isEmpty(content) }
	add := func(size int) uint64 {
		at, err := tail.place(size, empty)
		if err != nil {
			return 0
		}
		if size == slotSize {
			slot, _ := makeSlot(&site{at + 1<<20, []byte{0xb8, 6, 1, 0, 0}}, at, 1)
			copy(tail.content[at-start:], slot[:])
		} else {
			code, _ := (&bootstrap{at, longest(at + 1<<20), 0x7eff_f000_0000}).make(header(t))
			copy(tail.content[at-start:], code[:])
		}
		return at
	}
	for n, tt := range []struct {
		size int
		want uint64
	}{
		{slotSize, 0xfc0}, {bootstrapSize, 0xec0}, {slotSize, 0xe80}, {slotSize, 0xe40}, {bootstrapSize, 0xd40}, {slotSize, 0xd00},
		{bootstrapSize, 0}, {slotSize, 0xcc0}, {slotSize, 0xc80}, {slotSize, 0xc40}, {slotSize, 0},
	} {
		want := tt.want
		if want != 0 {
			want += start &^ (pageSize - 1)
		}
		if got := add(tt.size); got != want {
			t.Errorf("%d: at %#x, want %#x", n, got, want)
		}
	}
}
