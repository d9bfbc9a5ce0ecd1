package sys

import "strconv"

// Common paths, NUL-terminated.
var (
	Empty  = &[]byte{0}[0] // for AT_EMPTY_PATH
	Dot    = &[]byte{'.', 0}[0]
	DotDot = &[]byte{'.', '.', 0}[0]
	Slash  = &[]byte{'/', 0}[0]
)

// FDPath is a buffer for the path of one of this process's descriptors, "self/fd/N".
//
// System calls that do not accept an O_PATH descriptor accept its path in /proc. The path is
// relative: /proc must be the thread's working directory, as it is on every thread that
// handles notifications.
type FDPath [24]byte

// Of writes the path of the descriptor fd to p, and returns it NUL-terminated. The path is
// valid until the next call of Of.
func (p *FDPath) Of(fd int) *byte {
	_ = append(AppendFD(p[:0], fd), 0)
	return &p[0]
}

// AppendFD appends the path of the descriptor fd to b, without a NUL: see FDPath.
func AppendFD(b []byte, fd int) []byte {
	return strconv.AppendInt(append(b, "self/fd/"...), int64(fd), 10)
}
