package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Flags of the open family since Linux 7.3, which golang.org/x/sys/unix lacks. The kernel that runs
// may not know them: see newFlags.
const (
	// emptyPathFlag is O_EMPTYPATH: an empty path means dirfd itself, as with AT_EMPTY_PATH. open(2)
	// ignores unknown flags.
	emptyPathFlag = 1 << 26
	// regularFlag is OPENAT2_REGULAR, of openat2(2) only: the call opens regular files, and has the
	// error EFTYPE for others.
	regularFlag = 1 << 32
	eftype      = unix.Errno(134)
)

// newFlags returns which of emptyPathFlag and regularFlag the kernel knows. Few calls have one of
// them, so the kernel is asked each time.
func newFlags() uint64 {
	var known uint64
	if fd, e := sys.Openat(unix.AT_FDCWD, sys.Empty, unix.O_PATH|emptyPathFlag, 0); e == 0 {
		unix.Close(fd)
		known |= emptyPathFlag
	}
	if _, e := sys.Openat2(unix.AT_FDCWD, sys.Dot, &unix.OpenHow{Flags: regularFlag}); e == eftype {
		known |= regularFlag
	}
	return known
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
