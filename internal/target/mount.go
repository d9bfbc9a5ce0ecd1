package target

import (
	"os"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// IsReadOnlyFS reports whether the file of the descriptor fd is on a file system that is
// read-only as a whole, not only mounted read-only. It is false if the task cannot see the
// mount.
func (t *Task) IsReadOnlyFS(fd int) bool {
	var fs unix.Statfs_t
	if sys.Fstatfs(fd, &fs) != 0 || fs.Flags&unix.ST_RDONLY == 0 {
		return false
	}
	var b [prefixRoom]byte
	_ = append(t.appendTID(b[:0]), "mountinfo\x00"...)
	r, e := sys.Openat(unix.AT_FDCWD, &b[0], unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if e != 0 {
		return false
	}
	file := os.NewFile(uintptr(r), "mountinfo")
	defer file.Close()
	id := sys.MountID(fd)
	found, err := mountinfo.GetMountsFromReader(file, func(m *mountinfo.Info) (skip, stop bool) {
		ours := uint64(m.ID) == id
		return !ours, ours
	})
	return err == nil && len(found) == 1 && (found[0].VFSOptions == "ro" || strings.HasPrefix(found[0].VFSOptions, "ro,"))
}
