package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// These constants are those of shared.h.
const (
	baseAddress    = 0x200000000
	imageAddress   = baseAddress + 0x10000
	programAddress = baseAddress + 0x40000
	maxProgram     = 0x60000

	headerSize = 16
	opSize     = 80 // struct op

	kindNumber   = 0
	kindVariable = 1
	kindProcess  = 2
	kindTask     = 3

	resultDead = -5000
	resultHung = -5001
)

// out is a place in the program where the kernel writes a result.
type out struct {
	show       func([]byte, int64) string
	start, end int // offsets in the program
}

// wire is a program in the form that the interpreter reads.
type wire struct {
	bytes []byte
	outs  [][]out // by operation
}

// encoder encodes a program as a wire.
type encoder struct {
	ops, data []byte
	dataStart int // offset
	imageSize int64
	allCaps   uint64
	kinds     []byte
	args      []int64
	outs      []out
	show      func([]byte, int64) string
}

func (e *encoder) argument(kind byte, n int64) {
	e.kinds, e.args = append(e.kinds, kind), append(e.args, n)
}

func (e *encoder) number(n int64) { e.argument(kindNumber, n) }

// place adds bytes to the program and returns their address.
func (e *encoder) place(b []byte) int64 {
	at := e.dataStart + len(e.data)
	e.data = append(e.data, b...)
	e.data = append(e.data, make([]byte, -len(e.data)&7)...)
	return programAddress + int64(at)
}

func (e *encoder) bytes(b []byte) { e.number(e.place(b)) }

// out reserves bytes for a result.
func (e *encoder) out(size int) {
	address := e.place(make([]byte, size))
	e.number(address)
	if e.show != nil {
		start := int(address - programAddress)
		e.outs = append(e.outs, out{e.show, start, start + size})
	}
}

// encode encodes a program. Errors name the operation.
func encode(p program, imageSize int64, allCaps uint64) (wire, error) {
	var w wire
	e := &encoder{dataStart: headerSize + opSize*len(p.Ops), imageSize: imageSize, allCaps: allCaps}
	for _, o := range p.Ops {
		e.kinds, e.args, e.outs = nil, nil, nil
		for i, word := range o.Args {
			e.show = o.Call.params[i].show
			if err := o.Call.params[i].encode(e, word); err != nil {
				return wire{}, fmt.Errorf("%s: %w", o, err)
			}
		}
		e.op(o)
		w.outs = append(w.outs, e.outs)
	}
	w.bytes = binary.LittleEndian.AppendUint32(nil, uint32(e.dataStart+len(e.data)))
	w.bytes = binary.LittleEndian.AppendUint32(w.bytes, uint32(len(p.Ops)))
	for _, flag := range []bool{p.Chroot, p.usesIPC()} {
		n := uint32(0)
		if flag {
			n = 1
		}
		w.bytes = binary.LittleEndian.AppendUint32(w.bytes, n)
	}
	w.bytes = append(append(w.bytes, e.ops...), e.data...)
	if len(w.bytes) > maxProgram {
		return wire{}, fmt.Errorf("the program has %d bytes, more than %d", len(w.bytes), maxProgram)
	}
	return w, nil
}

// op appends a struct op.
func (e *encoder) op(o op) {
	store := uint32(maxVariables)
	if o.Store >= 0 {
		store = uint32(o.Store)
	}
	var kinds [8]byte
	var args [6]int64
	copy(kinds[:], e.kinds)
	copy(args[:], e.args)
	for _, n := range []uint32{uint32(o.Actor), uint32(o.Call.number), store} {
		e.ops = binary.LittleEndian.AppendUint32(e.ops, n)
	}
	e.ops = append(e.ops, kinds[:]...)
	e.ops = binary.LittleEndian.AppendUint32(e.ops, clearsSetID(o))
	for _, n := range args {
		e.ops = binary.LittleEndian.AppendUint64(e.ops, uint64(n))
	}
	e.ops = binary.LittleEndian.AppendUint64(e.ops, 0)
}

// outcome is the result of a program: a line for each operation, and one for each file
// that exists at the end.
type outcome struct {
	Results []string
	Tree    []string
	Hung    bool
}

// decode decodes the results that the interpreter returned.
func decode(p program, w wire, ran, tree []byte) (outcome, error) {
	var o outcome
	names := make(namer)
	for i := range p.Ops {
		at := headerSize + (i+1)*opSize - 8
		result := int64(binary.LittleEndian.Uint64(ran[at:]))
		o.Hung = o.Hung || result == resultHung
		line := names.show(p.Ops[i].Call, result)
		for _, out := range w.outs[i] {
			if result >= 0 {
				line += " " + out.show(ran[out.start:out.end], result)
			}
		}
		o.Results = append(o.Results, hideUnnamed(line))
	}
	t := treeReader{rest: tree}
	t.inode(".")
	t.directory("")
	if t.rest == nil {
		return outcome{}, errors.New("the interpreter's tree is truncated")
	}
	slices.Sort(t.lines) // the order depends on the file system
	o.Tree = t.lines
	return o, nil
}

// treeReader decodes the output of put_tree in tree.h.
type treeReader struct {
	rest  []byte // nil after an error
	lines []string
}

func (t *treeReader) bytes(n int64) []byte {
	if n < 0 || int64(len(t.rest)) < n || t.rest == nil {
		t.rest = nil
		return nil
	}
	b := t.rest[:n:n]
	t.rest = t.rest[n:]
	return b
}

func (t *treeReader) number() int64 {
	if b := t.bytes(8); b != nil {
		return int64(binary.LittleEndian.Uint64(b))
	}
	return 0
}

func (t *treeReader) inode(path string) (mode int64) {
	var line bytes.Buffer
	fmt.Fprintf(&line, "%s:", path)
	if e := t.number(); e < 0 {
		fmt.Fprintf(&line, " statx %s", showResult(e))
		t.lines = append(t.lines, line.String())
		return 0
	}
	mode = t.number()
	fmt.Fprintf(&line, " %06o nlink %d owner %d:%d size %d", mode, t.number(), t.number(), t.number(), t.number())
	fmt.Fprintf(&line, " device %d:%d", t.number(), t.number())
	line.WriteString(t.attributes())
	switch n := t.number(); {
	case n < 0:
		fmt.Fprintf(&line, " content %s", showResult(n))
	case n > 0:
		fmt.Fprintf(&line, " content %s", quote(t.bytes(n)))
	}
	t.lines = append(t.lines, line.String())
	return mode
}

func (t *treeReader) directory(prefix string) {
	for {
		n := t.number()
		if n == 0 {
			return
		}
		path := prefix + string(t.bytes(n))
		kind := t.number()
		mode := t.inode(path)
		if len(t.lines) > 0 {
			t.lines[len(t.lines)-1] += " d_type " + showType(byte(kind))
		}
		if mode&0o170000 == 0o040000 {
			t.directory(path + "/")
		}
		if t.rest == nil {
			return
		}
	}
}
