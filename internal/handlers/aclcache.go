package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// withoutACL are inodes of which it is known that they have no access ACL: to ask again for
// each directory of each path is what permissions would cost most. Who gets an ACL gets another
// ctime.
type noACLCache [64]struct {
	dev, ino uint64
	ctime    unix.Timespec
}

// has reports whether the inode of status st is known.
func (w *noACLCache) contains(st *unix.Stat_t) bool {
	known := &w[st.Ino%uint64(len(w))]
	return known.ino == st.Ino && known.dev == st.Dev && known.ctime == st.Ctim
}

// note takes down that to ask for the ACL of the inode of status st gave e. The ctime must be
// older than the next change could seem to be.
func (w *noACLCache) add(st *unix.Stat_t, e unix.Errno) {
	if sys.LacksXattr(e) && sys.CoarseNow()-st.Ctim.Nano() > granularity {
		known := &w[st.Ino%uint64(len(w))]
		known.dev, known.ino, known.ctime = st.Dev, st.Ino, st.Ctim
	}
}
