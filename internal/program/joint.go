package program

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// joint joins the two programs; entry_*.s define it, and package join fills it in, in the file that
// it makes.
var joint struct {
	magic [16]byte
	entry uint64 // address of the function entry
	main  uint64 // where the main program starts, 0 in a file that has only one
	image uint64 // where the image program starts
}

// entry is where the kernel starts a file with two programs. It jumps to where the image program
// starts if argv[0] begins with "subuidless-image", and otherwise to where the main program does. It
// runs before anything of Go, whose runtime prints a stack dump if it cannot reserve address space:
// if RLIMIT_AS is below minAddressSpace, entry prints noAddressSpace, and exits with status 1.
//
//lint:ignore U1000 only the variable joint has its address
func entry()

// minAddressSpace is how much the runtime of Go reserves at its start, and some room, in bytes.
//
//lint:ignore U1000 only entry reads it
const minAddressSpace = 1 << 30

//lint:ignore U1000 only entry reads it
var noAddressSpace = "subuidless: the limit on address space (ulimit -v) is below 1 GiB, which the Go runtime reserves, although it uses little of that: raise it, or set it in the container: sh -c 'ulimit -v LIMIT; exec COMMAND'\n"

// jointMagic is how joint begins.
const jointMagic = "subuidless" + "-" + "joint"

// Join writes into the main program where both programs start, and returns the address of entry.
func Join(program []byte, main, image uint64) (uint64, error) {
	if bytes.Count(program, []byte(jointMagic)) != 1 {
		return 0, errors.New("it is not a main program: its joint is not found once")
	}
	at := program[bytes.Index(program, []byte(jointMagic))+len(jointMagic):]
	binary.LittleEndian.PutUint64(at[8:], main)
	binary.LittleEndian.PutUint64(at[16:], image)
	return binary.LittleEndian.Uint64(at), nil
}
