package target

import (
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// HasFreeFDs reports whether the task can open n more descriptors below its
// RLIMIT_NOFILE (getrlimit(2)). Handlers ask before they make an object whose descriptor
// the task gets: afterwards, they cannot undo it on EMFILE. It is true if the task is gone.
func (t *Task) HasFreeFDs(n int) bool {
	var limit unix.Rlimit
	if sys.Prlimit(t.TID, unix.RLIMIT_NOFILE, nil, &limit) != 0 {
		return true // the task is gone
	}
	if limit.Cur < uint64(n) {
		return false
	}
	for i := range uint64(n) {
		if t.isOpen(int32(limit.Cur - 1 - i)) {
			return t.countFDs(limit.Cur)+n <= int(limit.Cur)
		}
	}
	return true
}

// isOpen reports whether the task's descriptor fd is open.
func (t *Task) isOpen(fd int32) bool {
	var b [prefixRoom]byte
	t.appendFD(b[:0], fd, 0)
	var st unix.Statx_t
	return sys.Statx(unix.AT_FDCWD, &b[0], unix.AT_SYMLINK_NOFOLLOW, 0, &st) == 0
}

// countFDs returns the number of the task's open descriptors below limit.
func (t *Task) countFDs(limit uint64) int {
	var b [prefixRoom]byte
	_ = append(t.appendTID(b[:0]), "fd\x00"...)
	fd, e := sys.Openat(unix.AT_FDCWD, &b[0], unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if e != 0 {
		return 0
	}
	defer unix.Close(fd)
	count := 0
	buf := make([]byte, 8192)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if err != nil || n == 0 {
			return count
		}
		_, _, names := unix.ParseDirent(buf[:n], -1, nil)
		for _, name := range names {
			if v, err := strconv.ParseUint(name, 10, 31); err == nil && v < limit {
				count++
			}
		}
	}
}
