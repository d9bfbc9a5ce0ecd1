package handlers

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Numbers of character devices, encoded as in unix.Stat_t.
const (
	devNull = owner.DevNull
	devTTY  = 5 << 8
	devPTMX = 5<<8 | 2
	devTUN  = 10<<8 | 200
)

// Devices maps the numbers of the host's devices to O_PATH descriptors of them. Opening a
// placeholder opens the device.
type Devices map[uint64]int

// hostDevices are the character devices that every user on every host may open.
var hostDevices = map[string]uint64{
	"/dev/null":    devNull,
	"/dev/zero":    1<<8 | 5,
	"/dev/full":    1<<8 | 7,
	"/dev/random":  1<<8 | 8,
	"/dev/urandom": 1<<8 | 9,
}

// optionalDevices are character devices that a host may have, and may let a user open.
var optionalDevices = map[string]uint64{
	"/dev/fuse":    10<<8 | 229,
	"/dev/net/tun": devTUN,
}

// OpenDevices opens the host's devices, in the mount namespace of the calling thread. The
// error names those of hostDevices that cannot be opened; the others can be used.
func OpenDevices() (Devices, error) {
	d := make(Devices)
	var errs []error
	for path, rdev := range hostDevices {
		if err := d.open(path, rdev); err != nil {
			errs = append(errs, err)
		}
	}
	for path, rdev := range optionalDevices {
		if unix.Faccessat(unix.AT_FDCWD, path, unix.R_OK|unix.W_OK, unix.AT_EACCESS) == nil {
			_ = d.open(path, rdev) // another device, or gone by now: as if it did not exist
		}
	}
	return d, errors.Join(errs...)
}

// open adds the device at path, whose number must be rdev.
func (d Devices) open(path string, rdev uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != rdev {
		unix.Close(fd)
		return fmt.Errorf("%s is not the expected device", path)
	}
	d[rdev] = fd
	return nil
}

// openDevice handles an open of the placeholder i, whose record has been loaded, with these
// flags of open(2).
func (c *Call) openDevice(i *inode, flags uint64) Result {
	const exclusive = unix.O_CREAT | unix.O_EXCL
	switch {
	case flags&regularFlag != 0:
		return Errno(eftype)
	// open(2): "When O_PATH is specified in flags, flag bits other than O_CLOEXEC,
	// O_DIRECTORY, and O_NOFOLLOW are ignored." It opens the placeholder.
	case flags&unix.O_PATH != 0,
		// ENOTDIR, or EINVAL with O_CREAT.
		flags&unix.O_DIRECTORY != 0,
		// The placeholder of null is an empty file, and reads like it.
		i.record.Rdev == devNull && flags&unix.O_ACCMODE == unix.O_RDONLY && i.kind() == unix.S_IFREG:
		return Continue
	case flags&exclusive == exclusive:
		return Errno(unix.EEXIST)
	}
	// mount(2): "MS_NODEV: Do not allow access to devices (special files) on this
	// filesystem." The error is EACCES.
	var fs unix.Statfs_t
	if e := sys.Fstatfs(i.fd, &fs); e != 0 {
		return Errno(e)
	}
	if fs.Flags&unix.ST_NODEV != 0 {
		return Errno(unix.EACCES)
	}
	opened, e := c.openHostDevice(&i.record, deviceFlags(flags))
	if e != 0 {
		return Errno(e)
	}
	return File(opened, flags&unix.O_CLOEXEC != 0)
}

// deviceFlags converts the caller's flags for an open by the supervisor. The descriptor
// must not be inherited, the terminal must not become the supervisor's controlling
// terminal, and flags about the name or the inode have been handled.
func deviceFlags(flags uint64) int {
	const done = unix.O_CREAT | unix.O_TRUNC | unix.O_NOFOLLOW | unix.O_NOATIME
	return int(flags&^done | unix.O_CLOEXEC | unix.O_NOCTTY)
}

// openHostDevice opens the device that rec describes. The error is ENXIO if the host has
// none.
func (c *Call) openHostDevice(rec *owner.Record, flags int) (int, unix.Errno) {
	if rec.Type != unix.S_IFCHR {
		return -1, unix.ENXIO
	}
	if rec.Rdev == devTTY {
		return c.Target.OpenTerminal(flags)
	}
	fd, ok := c.Devices[rec.Rdev]
	// The interfaces of a tun device are in the network namespace of the task that opens it.
	if !ok || rec.Rdev == devTUN && !c.Target.EnterOrShareNetwork() {
		return -1, unix.ENXIO
	}
	return sys.Reopen(fd, flags)
}

// placeholderPaths are where a root file system has devices that programs open, NUL-terminated.
var placeholderPaths = []string{"dev/null\x00", "dev/zero\x00", "dev/full\x00", "dev/random\x00", "dev/urandom\x00", "dev/tty\x00"}

// LookForDevices looks for placeholders below the root directory root, a path that ends with a
// slash. A tree that has been made elsewhere has some that no container of this user has seen.
func LookForDevices(s *owner.Store, root string) {
	if s.DevicesInUse() {
		return
	}
	for _, path := range placeholderPaths {
		s.SeeDevice(unsafe.StringData(root + path))
	}
}

// isShared reports whether the inode is a device, FIFO or socket of the host that other
// containers see, too. It belongs to another user of the host, or, if the container's root
// is the host's, it is a device node in the host's /dev. What the container records for it
// must not show in other containers.
func (c *Call) isShared(i *inode) bool {
	switch i.kind() {
	case unix.S_IFCHR, unix.S_IFBLK:
		if host, ok := c.Devices[devNull]; ok {
			var st unix.Stat_t
			if sys.Fstat(host, &st) == 0 && st.Dev == i.stat.Dev {
				return true
			}
		}
	case unix.S_IFIFO, unix.S_IFSOCK:
	default:
		return false
	}
	return i.stat.Uid != c.Owners.Mapped.UID
}

// isHostDevice reports whether the caller's descriptor fd refers to a device of the host:
// one that the launcher has bound, or that a placeholder stands for. The kernel does not
// let the container change its timestamps, as touch(1) does by descriptor; real root could.
func (c *Call) isHostDevice(fd int32) bool {
	var st unix.Statx_t
	if sys.Statx(unix.AT_FDCWD, c.Target.FD(fd).Ptr, 0, unix.STATX_TYPE|unix.STATX_UID, &st) != 0 {
		return false
	}
	kind := st.Mode & unix.S_IFMT
	return (kind == unix.S_IFCHR || kind == unix.S_IFBLK) && st.Uid != c.Owners.Mapped.UID
}

// isPlaceholder reports whether the object o is the placeholder of a device. It costs
// nothing if there is none.
func (c *Call) isPlaceholder(o object) bool {
	if !c.Owners.DevicesInUse() {
		return false
	}
	p, e := c.pathOf(o)
	if e != 0 {
		return false
	}
	i, e := c.openRecorded(p)
	if e != 0 {
		return false
	}
	defer c.close(i)
	return i.record.Type != 0
}
