package layer

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// The marks of overlayfs: a whiteout is a character device 0:0, and a directory that hides
// those of lower layers has the attribute opaqueName.
//
// Some file systems refuse them, such as overlayfs itself and NFS. There, overlayfs cannot
// mount the layers anyway, so that they can have marks of our own: a whiteout is an empty file
// of mode 0400 with the attribute ownWhiteout, and an opaque directory has ownOpaque.
const (
	opaqueName  = "user.overlay.opaque"
	ownOpaque   = "user.subuidless.opaque"
	ownWhiteout = "user.subuidless.whiteout"

	// ownMarks is the attribute of the root of a layer with marks of our own.
	ownMarks = "user.subuidless.marks"
)

// HasOwnMarks reports whether overlayfs cannot mount the layer in dir, because it does not know
// its marks.
func HasOwnMarks(dir string) bool {
	_, err := unix.Getxattr(dir, ownMarks, nil)
	return err == nil
}

// markOwn gives the new layer the attribute ownMarks.
func (u *Unpacker) markOwn() error {
	fd, err := openBeneath(u.new, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return os.NewSyscallError("fsetxattr "+ownMarks, unix.Fsetxattr(fd, ownMarks, []byte{'y'}, 0))
}

// IsMark reports whether an attribute belongs to a layer, and not to the image.
func IsMark(name string) bool {
	return strings.HasPrefix(name, "user.overlay.") || strings.HasPrefix(name, "user.subuidless.")
}

// isWhiteout reports whether the inode name in the directory dir, of status st, is a whiteout.
func isWhiteout(dir int, name string, st *unix.Stat_t) bool {
	if st.Mode == unix.S_IFREG|0o400 && st.Size == 0 {
		_, err := unix.Lgetxattr(fmt.Sprintf("/proc/self/fd/%d/%s", dir, name), ownWhiteout, nil)
		return err == nil
	}
	return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0
}

// makeWhiteout creates a whiteout. Own means that it is one of our own.
func makeWhiteout(dir int, name string) (own bool, err error) {
	err = unix.Mknodat(dir, name, unix.S_IFCHR, 0)
	if err != unix.EPERM && err != unix.EACCES && err != unix.EOPNOTSUPP && err != unix.EINVAL {
		return false, os.NewSyscallError("creating a whiteout: mknod", err)
	}
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o400)
	if err != nil {
		return true, os.NewSyscallError("creating a whiteout: open", err)
	}
	defer unix.Close(fd)
	if err := unix.Fsetxattr(fd, ownWhiteout, []byte{'y'}, 0); err != nil {
		return true, os.NewSyscallError("creating a whiteout: fsetxattr", err)
	}
	return true, os.NewSyscallError("creating a whiteout: fchmod", unix.Fchmod(fd, 0o400)) // whatever the umask is
}

// isOpaque reports whether the directory at name in the directory dir hides those of lower
// layers.
func isOpaque(dir int, name string) (bool, error) {
	fd, err := openBeneath(dir, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	for _, mark := range []string{opaqueName, ownOpaque} {
		var value [1]byte
		n, err := unix.Fgetxattr(fd, mark, value[:])
		switch err {
		case nil:
			if n == 1 && value[0] == 'y' {
				return true, nil
			}
		case unix.ENODATA, unix.EOPNOTSUPP, unix.ERANGE:
		default:
			return false, os.NewSyscallError("fgetxattr "+mark, err)
		}
	}
	return false, nil
}

// makeOpaque makes the directory that fd refers to hide those of lower layers. Own means by a
// mark of our own.
func makeOpaque(fd int) (own bool, err error) {
	err = unix.Fsetxattr(fd, opaqueName, []byte{'y'}, 0)
	if err == unix.EPERM || err == unix.EACCES || err == unix.EOPNOTSUPP {
		own, err = true, unix.Fsetxattr(fd, ownOpaque, []byte{'y'}, 0)
	}
	return own, os.NewSyscallError("hiding a directory of lower layers: fsetxattr", err)
}
