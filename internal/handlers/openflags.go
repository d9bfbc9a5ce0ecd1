package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Flags of the open family since Linux 7.3, which golang.org/x/sys/unix lacks. The kernel that runs
// may not know them.
const (
	// emptyPathFlag is O_EMPTYPATH: an empty path means dirfd itself, as with AT_EMPTY_PATH. open(2)
	// ignores unknown flags.
	emptyPathFlag = 1 << 26
	// regularFlag is OPENAT2_REGULAR, of openat2(2) only: the call opens regular files, and has the
	// error EFTYPE for others.
	regularFlag = 1 << 32
	eftype      = unix.Errno(134)
)

// knowsEmptyPath reports whether the kernel knows emptyPathFlag. Few calls have it, so the kernel is
// asked each time.
func knowsEmptyPath() bool {
	fd, e := sys.Openat(unix.AT_FDCWD, sys.Empty, unix.O_PATH|emptyPathFlag, 0)
	if e == 0 {
		unix.Close(fd)
	}
	return e == 0
}

// knowsRegular reports whether the kernel knows regularFlag.
func knowsRegular() bool {
	_, e := sys.Openat2(unix.AT_FDCWD, sys.Dot, &unix.OpenHow{Flags: regularFlag})
	return e == eftype
}

// acceptedFlags returns flags if openat2(2) accepts them, be it that the kernel knows them or that it drops
// them: Linux 5.10 drops emptyPathFlag, and 6.12 another bit that it uses itself.
func acceptedFlags(flags uint64) uint64 {
	fd, e := sys.Openat2(unix.AT_FDCWD, sys.Dot, &unix.OpenHow{Flags: unix.O_PATH | flags})
	if e != 0 {
		return 0
	}
	unix.Close(fd)
	return flags
}

// knowsCached reports whether the kernel knows RESOLVE_CACHED, of Linux 5.12.
func knowsCached() bool {
	fd, e := sys.Openat2(unix.AT_FDCWD, sys.Dot, &unix.OpenHow{Flags: unix.O_PATH, Resolve: resolveCached})
	if e == 0 {
		unix.Close(fd)
	}
	return e != unix.EINVAL
}
