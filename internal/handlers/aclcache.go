package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// noACLCache holds inodes that are known to have no access ACL. Without it, most of the
// cost of permission checks would be to ask for the ACL of each directory of each path.
// Setting an ACL changes the ctime, so an entry with the current ctime is valid.
type noACLCache [64]struct {
	dev, ino uint64
	ctime    unix.Timespec
}

// contains reports whether the inode with the status st is known to have no ACL.
func (w *noACLCache) contains(st *unix.Stat_t) bool {
	known := &w[st.Ino%uint64(len(w))]
	return known.ino == st.Ino && known.dev == st.Dev && known.ctime == st.Ctim
}

// add notes the inode with the status st if e, the result of reading its ACL, means that it
// has none. The ctime must be older than the granularity of timestamps: otherwise a change
// that follows could leave it the same.
func (w *noACLCache) add(st *unix.Stat_t, e unix.Errno) {
	if sys.LacksXattr(e) && sys.CoarseNow()-st.Ctim.Nano() > granularity {
		known := &w[st.Ino%uint64(len(w))]
		known.dev, known.ino, known.ctime = st.Dev, st.Ino, st.Ctim
	}
}
