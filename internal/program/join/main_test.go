package main

import (
	"debug/elf"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Segments of both programs are loaded, where they do not overlap.
func TestJoinSegments(t *testing.T) {
	load := func(address, offset uint64) elf.Prog64 {
		return elf.Prog64{Type: uint32(elf.PT_LOAD), Vaddr: address, Memsz: 0x1000, Off: offset}
	}
	note := elf.Prog64{Type: uint32(elf.PT_NOTE)}
	all, err := joinSegments([]elf.Prog64{note, load(0x400000, 0)}, []elf.Prog64{note, load(0x500000, 0x1000)}, 0x20000)
	if err != nil || len(all) != 3 || all[2] != load(0x500000, 0x21000) {
		t.Errorf("%v, %v", all, err)
	}
	if all, err := joinSegments([]elf.Prog64{load(0x400000, 0)}, []elf.Prog64{load(0x400800, 0)}, 0x20000); err == nil {
		t.Errorf("programs that overlap: %v", all)
	}
}

// Other files are refused, and nothing is written.
func TestRefused(t *testing.T) {
	self, err := os.Executable() // not linked at another address
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text, out := filepath.Join(dir, "text"), filepath.Join(dir, "out")
	if err := os.WriteFile(text, []byte(strings.Repeat("text", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, pair := range [][2]string{{text, self}, {self, text}, {self, self}} {
		if err := join(out, pair[0], pair[1]); err == nil {
			t.Errorf("join %s: no error", pair)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a file has been written")
	}
}
