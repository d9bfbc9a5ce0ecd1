// Package program lets the two programs of subuidless execute each other.
//
// The file that users install consists of the main program, the image program, the program headers
// of both, and a trailer, which says where the image program begins. The kernel maps both programs,
// at different addresses, and argv[0] says which one is started. So the processes of a container do
// not pay for what the commands for images link, such as net/http: page faults and the initialization
// of packages would make every start of a supervisor 20 % slower.
//
// cmd/build makes such a file. What plain go build makes has no image program; go install makes
// that as a file of its own, in the same directory.
package program

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
)

// HeaderSize is the size of an ELF header of 64 bits, in bytes.
const HeaderSize = 64

// The trailer is the ELF header of the main program as it was before it was joined, the magic, the
// offset of the image program in bytes, in decimal with leading zeros, and a line feed.
const (
	magic       = "subuidless-image "
	trailerSize = HeaderSize + len(magic) + 14 + 1
)

// imageName is the name of the image program: argv[0] of its processes begins with it. Where it is
// a file of its own, that has this name, too.
const imageName = "subuidless-image"

// ErrIncomplete means that this file has no image program, and none is beside it.
var ErrIncomplete = errors.New("this build of subuidless has no commands for images: packages and make build have them, and go install github.com/rootless-containers/subuidless/cmd/...@latest puts subuidless-image beside it (strip(1) removes them)")

// layout says where the parts of a file are, as offsets in bytes.
type layout struct {
	main  int64 // end of the main program, and start of the image program if there is one
	image int64 // end of the image program; main if there is none
	// The ELF header of the main program alone. It is empty if there is no image program.
	header []byte
}

// Trailer returns the trailer of a file with the image program at the offset start. Header is the ELF
// header of the main program alone.
func Trailer(header []byte, start int64) []byte {
	return fmt.Appendf(header, "%s%014d\n", magic, start)
}

// readLayout returns the layout of a file of the given size.
func readLayout(f io.ReaderAt, size int64) (layout, error) {
	none := layout{main: size, image: size}
	if size < int64(trailerSize) {
		return none, nil
	}
	trailer := make([]byte, trailerSize)
	end := size - int64(trailerSize)
	if _, err := f.ReadAt(trailer, end); err != nil {
		return none, fmt.Errorf("reading this program: %w", err)
	}
	digits, found := bytes.CutPrefix(trailer[HeaderSize:], []byte(magic))
	if !found {
		return none, nil
	}
	start, err := strconv.ParseInt(string(bytes.TrimSuffix(digits, []byte("\n"))), 10, 64)
	if err != nil || start < HeaderSize || start >= end {
		return none, fmt.Errorf("this program is damaged: its trailer is %q", trailer[HeaderSize:])
	}
	return layout{start, end, trailer[:HeaderSize]}, nil
}

// openSelf opens the file of this process's program.
func openSelf() (*os.File, layout, error) {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, layout{}, fmt.Errorf("opening this program: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		return nil, layout{}, errors.Join(fmt.Errorf("opening this program: %w", err), f.Close())
	}
	l, err := readLayout(f, st.Size())
	if err != nil {
		return nil, layout{}, errors.Join(err, f.Close())
	}
	return f, l, nil
}
