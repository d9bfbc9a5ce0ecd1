package owner

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Some file systems have no identity for an inode that lasts: most FUSE servers number inodes
// anew when they are mounted, or when the kernel has forgotten the inode; vfat numbers them when
// the kernel reads them. 9p and NFS 4.0 reuse numbers without saying so. An entry of such an inode
// must end with the number. So the container watches the inode: the kernel then remembers it, and
// says when it is gone.

// passing is the set of file systems, by device number, that Store.ReportPassing has been called
// with.
type passing struct {
	mu       sync.Mutex // a leaf
	reported map[uint64]bool
}

// isPassing reports whether the identity of the object with the key k, which fd refers to, may
// become that of another one.
func isPassing(fd int, k *key) bool {
	switch sys.FileSystem(fd) {
	case unix.FUSE_SUPER_MAGIC, 0: // see isFUSE
		return k.volatile // no birth time
	case unix.NFS_SUPER_MAGIC:
		return k.volatile // NFS 4.0, which has no handles
	case unix.V9FS_MAGIC, unix.MSDOS_SUPER_MAGIC, unix.EXFAT_SUPER_MAGIC:
		return true
	}
	return false
}

// A Validity says for how long the sidecar knows a file.
type Validity int

const (
	Lasting      Validity = iota // as long as the file exists
	UntilReboot                  // until the next reboot
	UntilUnmount                 // until the file system is unmounted, or earlier
	UntilEnd                     // until the container ends
)

// HowLong returns for how long the sidecar knows files that are on the same file system as path.
// The error is that of open(2) or statx(2).
func HowLong(path string) (Validity, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return Lasting, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var k key
	if e := k.fill(fd, sys.Empty, unix.AT_EMPTY_PATH); e != 0 {
		return Lasting, &os.PathError{Op: "statx", Path: path, Err: e}
	}
	switch sys.FileSystem(fd) {
	case unix.FUSE_SUPER_MAGIC:
		if k.volatile && fuseConnections() == 0 {
			return UntilEnd, nil
		}
	case unix.MSDOS_SUPER_MAGIC, unix.EXFAT_SUPER_MAGIC:
		return UntilUnmount, nil
	case unix.V9FS_MAGIC:
		return UntilReboot, nil
	}
	switch {
	case !k.volatile:
		return Lasting, nil
	case isPassing(fd, &k):
		return UntilUnmount, nil
	}
	return UntilReboot, nil
}

// keepPassing is called after the sidecar has got an entry of the object with the key k, which fd
// refers to.
func (s *Store) keepPassing(fd int, k *key) {
	if !isPassing(fd, k) {
		return
	}
	s.Forget(fd)
	if s.ReportPassing == nil {
		return
	}
	p := &s.passing
	p.mu.Lock()
	known := p.reported[k.numbers[0]]
	if !known {
		if p.reported == nil {
			p.reported = map[uint64]bool{}
		}
		p.reported[k.numbers[0]] = true
	}
	p.mu.Unlock()
	if !known {
		s.ReportPassing(fileOf(fd))
	}
}
