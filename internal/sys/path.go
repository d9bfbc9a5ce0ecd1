package sys

import "strconv"

// Paths that many calls need, NUL-terminated.
var (
	Empty  = &[]byte{0}[0] // with AT_EMPTY_PATH
	Dot    = &[]byte{'.', 0}[0]
	DotDot = &[]byte{'.', '.', 0}[0]
	Slash  = &[]byte{'/', 0}[0]
)

// FDPath is room for the name of one of this process's descriptors, "self/fd/N".
//
// Calls that refuse an O_PATH descriptor accept its name in /proc. The name is
// relative: /proc must be the thread's working directory, as it is on every
// thread that answers system calls.
type FDPath [24]byte

// Of writes the name of the descriptor fd, and returns it NUL-terminated.
func (p *FDPath) Of(fd int) *byte {
	_ = append(AppendFD(p[:0], fd), 0)
	return &p[0]
}

// AppendFD appends the name of the descriptor fd, without a NUL: see FDPath.
func AppendFD(b []byte, fd int) []byte {
	return strconv.AppendInt(append(b, "self/fd/"...), int64(fd), 10)
}
