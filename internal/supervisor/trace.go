package supervisor

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
	"github.com/rootless-containers/subuidless/internal/syscalls"
)

// trace is the file of --trace. Receivers write to it at the same time.
type trace struct{ fd int }

// openTrace opens the file name, or creates it.
func openTrace(name string) (*trace, error) {
	// O_APPEND, because other containers and the next worker write to the same file.
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return &trace{fd}, nil
}

// write writes one line. It ignores errors, such as a full disk: they must not disturb
// the container.
func (t *trace) write(line []byte) { _, _ = unix.Write(t.fd, line) }

// maxTraced is the size of the longest string that the trace shows; longer ones appear as
// pointers.
const maxTraced = unix.PathMax

// appendCall appends the call c as strace(1) shows it: `1234 chown("foo", 42, 42)`. Row
// is nil for an unknown call.
func appendCall(b []byte, row *syscalls.Row, c *handlers.Call) []byte {
	b = strconv.AppendUint(b, uint64(c.PID), 10)
	b = append(b, ' ')
	if row == nil {
		return fmt.Appendf(b, "syscall_%#x(arch %#x)", uint32(c.Data.NR), c.Data.Arch)
	}
	b = append(append(b, row.Name...), '(')
	for i, kind := range row.Args {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendArg(b, kind, c, c.Data.Args[i])
	}
	return append(b, ')')
}

// appendArg appends the argument v of the given type.
func appendArg(b []byte, kind syscalls.Arg, c *handlers.Call, v uint64) []byte {
	switch kind {
	case syscalls.Path, syscalls.Name:
		s := make([]byte, maxTraced)
		n, e := c.Target.ReadString(uintptr(v), s)
		if e != 0 {
			return fmt.Appendf(b, "%#x", v)
		}
		return strconv.AppendQuote(b, string(s[:n]))
	case syscalls.DirFD:
		if int32(v) == unix.AT_FDCWD {
			return append(b, "AT_FDCWD"...)
		}
		return strconv.AppendInt(b, int64(int32(v)), 10)
	case syscalls.FD, syscalls.Int, syscalls.ID:
		return strconv.AppendInt(b, signed(v), 10)
	case syscalls.Size:
		return strconv.AppendUint(b, v, 10)
	default:
		return fmt.Appendf(b, "%#x", v)
	}
}

// signed returns -1 for a 32-bit -1, and any other 32-bit value, which may be a large id,
// as unsigned.
func signed(v uint64) int64 {
	if uint32(v) == ^uint32(0) {
		return -1
	}
	return int64(uint32(v))
}

// appendResult appends the result and the handler's duration: " = -1 EPERM <7us>".
func appendResult(b []byte, r handlers.Result, d time.Duration) []byte {
	switch {
	case r.Continue:
		b = append(b, " = (kernel)"...)
	case r.File:
		b = append(b, " = (descriptor)"...)
	case r.Errno != 0:
		b = append(append(b, " = -1 "...), unix.ErrnoName(r.Errno)...)
	default:
		b = strconv.AppendInt(append(b, " = "...), r.Val, 10)
	}
	b = strconv.AppendInt(append(b, " <"...), d.Microseconds(), 10)
	return append(b, "us>\n"...)
}
