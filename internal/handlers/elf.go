package handlers

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// elfClass has the offsets and sizes in the files of one class of elf(5).
type elfClass struct {
	word             int // the size of an offset
	phoff, phnum     int // in the file header
	header           int // the size of a program header
	offset, fileSize int // in a program header
}

// elfClasses are the classes by their number in the file header.
var elfClasses = [...]elfClass{
	1: {word: 4, phoff: 28, phnum: 44, header: 32, offset: 4, fileSize: 16},
	2: {word: 8, phoff: 32, phnum: 56, header: 56, offset: 8, fileSize: 32},
}

const (
	elfInterpreter = 3  // PT_INTERP
	maxElfHeaders  = 64 // programs have about a dozen
)

// interpreterOf returns the path of the ELF interpreter of the program r, whose file begins with
// head. It is nil if there is none, and if the kernel will not execute the file.
func interpreterOf(r int, head *[headSize]byte, path *[unix.PathMax]byte) []byte {
	if !bytes.HasPrefix(head[:], []byte("\x7fELF")) || head[4] == 0 || int(head[4]) >= len(elfClasses) {
		return nil
	}
	class := &elfClasses[head[4]]
	at := int64(readUnsigned(head[class.phoff:], class.word))
	for range min(binary.LittleEndian.Uint16(head[class.phnum:]), maxElfHeaders) {
		var room [64]byte
		b := room[:class.header]
		if at >= 0 && at <= int64(len(head)-len(b)) {
			b = head[at:][:len(b)]
		} else if n, e := sys.PreadAt(r, b, at); e != 0 || n < len(b) {
			return nil
		}
		at += int64(class.header)
		if binary.LittleEndian.Uint32(b) != elfInterpreter {
			continue
		}
		size := readUnsigned(b[class.fileSize:], class.word)
		if size < 2 || size > uint64(len(path)) {
			return nil
		}
		n, e := sys.PreadAt(r, path[:size], int64(readUnsigned(b[class.offset:], class.word)))
		if e != 0 || n < int(size) || path[size-1] != 0 {
			return nil
		}
		return path[:bytes.IndexByte(path[:], 0)]
	}
	return nil
}

// mayLoad checks whether the caller may execute the ELF interpreter of the program i, whose file
// begins with head, and reports whether it may read it: see cred.ExecFile. The error is EACCES.
func (c *Call) mayLoad(i *inode, head *[headSize]byte) (readable bool, e unix.Errno) {
	r, e := sys.Reopen(i.fd, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY)
	if e != 0 {
		return true, 0
	}
	var path [unix.PathMax]byte
	text := interpreterOf(r, head, &path)
	unix.Close(r)
	if text == nil {
		return true, 0
	}
	p, e := c.Target.PathOf(text)
	if e != 0 {
		return true, 0
	}
	loader, e := c.openProgram(p)
	if e != 0 {
		if e == unix.EACCES {
			return false, e
		}
		return true, 0 // the kernel finds the error
	}
	defer c.close(loader)
	return c.permits(loader, perm.Read) == 0, 0
}
