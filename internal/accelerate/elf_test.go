package accelerate

import (
	"bytes"
	"debug/elf"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// objects are ELF files that most systems have one of: libraries of C, and static
// programs.
var objects = []string{
	"/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6", "/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1", "/bin/busybox",
}

// TestSitesOfObjects looks for the call sites of every system call in the text of
// objects. A disassembler must agree that each of them is one: in particular, that a load
// is an instruction, and not the end of another one.
func TestSitesOfObjects(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("call sites have this form on amd64 only")
	}
	if _, err := exec.LookPath("objdump"); err != nil {
		t.Skip("needs objdump: install binutils")
	}
	found := false
	for _, name := range objects {
		f, err := elf.Open(name)
		if err != nil {
			continue
		}
		defer f.Close()
		text := f.Section(".text")
		if text == nil || f.Machine != elf.EM_X86_64 {
			continue
		}
		found = true
		t.Run(name, func(t *testing.T) {
			code, err := text.Data()
			if err != nil {
				t.Fatal(err)
			}
			instructions := disassemble(t, name)
			sites, calls := 0, 0
			for end := 0; ; end++ {
				n := bytes.Index(code[end:], []byte{0x0f, 0x05})
				if n < 0 {
					break
				}
				end += n
				if instructions[text.Addr+uint64(end)] == "syscall" {
					calls++
				}
				before := code[max(0, end+2-maxSite-1) : end+2]
				for nr := range uint32(470) {
					s, ok := parseSite(before, text.Addr+uint64(end)+2, nr)
					if !ok {
						continue
					}
					sites++
					want := "mov $0x" + strconv.FormatUint(uint64(nr), 16) + ",%eax"
					if got := instructions[s.load]; got != want {
						t.Errorf("%#x: the load is %q, want %q", s.load, got, want)
					}
					if got := instructions[text.Addr+uint64(end)]; got != "syscall" {
						t.Errorf("%#x: the call is %q", text.Addr+uint64(end), got)
					}
					for at := s.load + loadSize; at < s.after()-syscallSize; {
						size := moveSize(s.code[at-s.load:])
						if instructions[at] == "" || size == 0 {
							t.Errorf("%#x: no instruction begins here", at)
							break
						}
						at += uint64(size)
					}
				}
			}
			t.Logf("%d call sites, %d syscall instructions", sites, calls)
			if sites == 0 || sites < calls/3 {
				t.Errorf("found %d call sites only", sites)
			}
		})
	}
	if !found {
		t.Skip("there is none of ", objects)
	}
}

// disassemble returns the instructions of an object by their addresses.
func disassemble(t *testing.T, name string) map[uint64]string {
	t.Helper()
	out, err := exec.Command("objdump", "-d", "--no-show-raw-insn", "-j", ".text", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[uint64]string{}
	line := regexp.MustCompile(`(?m)^ *([0-9a-f]+):\t(\S+) *([^\n<#]*)`)
	for _, m := range line.FindAllSubmatch(out, -1) {
		at, err := strconv.ParseUint(string(m[1]), 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		text := string(m[2])
		if operands := bytes.TrimSpace(m[3]); len(operands) > 0 {
			text += " " + string(operands)
		}
		all[at] = text
	}
	return all
}

// TestSegmentEnd finds the end of this program's own text, in its memory.
func TestSegmentEnd(t *testing.T) {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	header := make([]byte, elfHeaderSize)
	if _, err := io.ReadFull(f, header); err != nil {
		t.Fatal(err)
	}
	object, err := elf.NewFile(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range object.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		base := object.Progs[0].Vaddr
		for _, l := range object.Progs {
			if l.Type == elf.PT_LOAD && l.Off == 0 {
				base = l.Vaddr
			}
		}
		for _, moved := range []uint64{0, 0x5555_0000_0000} {
			start := p.Vaddr&^(pageSize-1) + moved
			end := (p.Vaddr + p.Memsz + pageSize - 1) &^ (pageSize - 1)
			last, ok := segmentEnd(header, base+moved, start, end+moved)
			if text := p.Flags&elf.PF_X != 0; ok != text || ok && last != p.Vaddr+p.Memsz+moved {
				t.Errorf("segment %#x, %v: ends at %#x, %v", p.Vaddr, p.Flags, last, ok)
			}
			if _, ok := segmentEnd(header, base+moved, start, end+moved+pageSize); ok {
				t.Errorf("segment %#x is larger than its mapping", p.Vaddr)
			}
		}
	}
	for name, broken := range map[string]func([]byte){
		"32 bits":         func(h []byte) { h[4] = 1 },
		"no ELF file":     func(h []byte) { h[0] = '#' },
		"many headers":    func(h []byte) { h[56], h[57] = 0xff, 0xff },
		"headers far off": func(h []byte) { h[34] = 1 },
	} {
		h := bytes.Clone(header)
		broken(h)
		if last, ok := segmentEnd(h, 0x400000, 0x400000, 0x500000); ok {
			t.Errorf("%s: ends at %#x", name, last)
		}
	}
	if unix.Getpagesize() != pageSize && runtime.GOARCH == "amd64" {
		t.Error("pages have another size")
	}
}
