package target

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// MayEnlarge reports whether the task's RLIMIT_FSIZE (getrlimit(2)) lets it enlarge a file
// to size bytes. It is true if the task is gone.
func (t *Task) MayEnlarge(size int64) bool {
	var limit unix.Rlimit
	return sys.Prlimit(t.TID, unix.RLIMIT_FSIZE, nil, &limit) != 0 || uint64(size) <= limit.Cur
}
