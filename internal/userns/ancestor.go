package userns

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Ancestor returns the value that known, by inode number, has for the user namespace of a process,
// or for the nearest one that this has been created in. It is 0 if there is none, or if the process
// has ended or belongs to another user. Dir is the directory of the process in /proc. Ancestor adds
// the namespaces that it finds to known.
func Ancestor(dir string, known map[uint64]uint64) uint64 {
	ns, err := unix.Open(filepath.Join(dir, "ns", "user"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	var seen []uint64
	var found uint64
	for {
		inode, err := Inode(ns)
		value, isKnown := known[inode]
		if err != nil || isKnown {
			found = value
			break
		}
		seen = append(seen, inode)
		// EPERM at the caller's own namespace: ioctl_ns(2).
		parent, err := unix.IoctlRetInt(ns, unix.NS_GET_PARENT)
		if err != nil {
			break
		}
		unix.Close(ns)
		ns = parent
	}
	unix.Close(ns)
	for _, inode := range seen {
		known[inode] = found
	}
	return found
}

// Inode returns the inode number of the namespace of a descriptor.
func Inode(ns int) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(ns, &st); err != nil {
		return 0, os.NewSyscallError("fstat", err)
	}
	return st.Ino, nil
}
