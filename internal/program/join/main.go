// Command join makes one file of the two programs: see package program. cmd/build runs it.
//
//	join OUTPUT MAIN IMAGE
package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/rootless-containers/subuidless/internal/program"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: join OUTPUT MAIN IMAGE")
		os.Exit(2)
	}
	if err := join(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "join:", err)
		os.Exit(1)
	}
}

// executable is a program, as the linker of Go has made it.
type executable struct {
	content  []byte
	header   elf.Header64
	segments []elf.Prog64
}

// read reads a program.
func read(file string) (executable, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return executable{}, err
	}
	e := executable{content: content}
	if err := binary.Read(bytes.NewReader(content), binary.LittleEndian, &e.header); err != nil {
		return executable{}, fmt.Errorf("%s: %w", file, err)
	}
	if h := e.header; string(h.Ident[:elf.EI_DATA+1]) != elf.ELFMAG+"\x02\x01" || elf.Type(h.Type) != elf.ET_EXEC || h.Phoff > uint64(len(content)) || h.Shoff > uint64(len(content)) {
		return executable{}, fmt.Errorf("%s is not a static ELF executable of 64 bits", file)
	}
	e.segments = make([]elf.Prog64, e.header.Phnum)
	if err := binary.Read(bytes.NewReader(content[e.header.Phoff:]), binary.LittleEndian, e.segments); err != nil {
		return executable{}, fmt.Errorf("%s: its program headers: %w", file, err)
	}
	return e, nil
}

// join writes the program main, followed by the program image and the trailer, to the file out.
// The kernel maps both, and starts at the function entry of package program.
func join(out, main, image string) error {
	m, err := read(main)
	if err != nil {
		return err
	}
	i, err := read(image)
	if err != nil {
		return err
	}
	if m.header.Machine != i.header.Machine {
		return fmt.Errorf("%s and %s are for different processors", main, image)
	}
	entry, err := program.Join(m.content, m.header.Entry, i.header.Entry)
	if err != nil {
		return fmt.Errorf("%s: %w", main, err)
	}
	// A segment can only be mapped if its offset and address are the same modulo the size of a page,
	// which is 64 KiB at most.
	const page = 64 << 10
	start := (uint64(len(m.content)) + page - 1) &^ (page - 1)
	segments, err := joinSegments(m.segments, i.segments, start)
	if err != nil {
		return err
	}
	for n := range segments {
		if s := &segments[n]; elf.ProgType(s.Type) == elf.PT_PHDR {
			s.Filesz = uint64(binary.Size(segments))
			s.Memsz = s.Filesz
		}
	}
	file := append(m.content, make([]byte, start-uint64(len(m.content)))...)
	file = append(file, i.content...)
	original := bytes.Clone(file[:program.HeaderSize])
	header := m.header
	// The program headers get the place of the section headers, which go to the end: strip(1) wants the
	// former in the first segment.
	sections := file[header.Shoff:][:uint64(header.Shnum)*uint64(header.Shentsize)]
	if header.Shoff != header.Phoff+uint64(binary.Size(m.segments)) || binary.Size(segments) > binary.Size(m.segments)+len(sections) {
		return fmt.Errorf("%s has no room for more program headers", main)
	}
	file = append(file, make([]byte, -len(file)&7)...)
	header.Entry, header.Phnum, header.Shoff = entry, uint16(len(segments)), uint64(len(file))
	file = append(file, sections...)
	if _, err := binary.Encode(file[header.Phoff:], binary.LittleEndian, segments); err != nil {
		return err
	}
	if _, err := binary.Encode(file, binary.LittleEndian, header); err != nil {
		return err
	}
	return os.WriteFile(out, append(file, program.Trailer(original, int64(start))...), 0o755)
}

// joinSegments returns the segments of the main program, and those of the image program that
// are loaded, which begins at the offset start of the file.
func joinSegments(main, image []elf.Prog64, start uint64) ([]elf.Prog64, error) {
	var all []elf.Prog64
	var end uint64
	for _, s := range main {
		if elf.ProgType(s.Type) == elf.PT_LOAD {
			end = max(end, s.Vaddr+s.Memsz)
		}
		all = append(all, s)
	}
	for _, s := range image {
		if elf.ProgType(s.Type) != elf.PT_LOAD {
			continue
		}
		if s.Vaddr < end {
			return nil, errors.New("the programs overlap in memory: link the image program at a higher address")
		}
		s.Off += start
		all = append(all, s)
	}
	return all, nil
}
