package handlers

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// The kernel shows mounts that the caller cannot reach from its root directory only to
// processes with CAP_SYS_ADMIN, a capability that it sees in every task of the container. So the
// supervisor makes the call first, with the capabilities that the caller has.

// The sizes of struct mnt_id_req of <linux/mount.h> that the kernel takes: the first
// version, and a page.
const (
	mountRequestMin = 24
	mountRequestMax = 4096
)

// mountRequestFD is where struct mnt_id_req has a descriptor, 0 for none: of a mount
// namespace or, with statmountByFD, of a file on the mount.
const mountRequestFD = 4

// statmountByFD is STATMOUNT_BY_FD of <linux/mount.h>, since Linux 7.0.
const statmountByFD = 1

// Statmount handles statmount(request, buffer, size, flags).
func Statmount(c *Call) Result {
	// The kernel hides nothing about the mount of an open file.
	if c.uint32(3) == statmountByFD {
		return Continue
	}
	return c.askMounts(func(request []byte) unix.Errno {
		return sys.Statmount(request, c.out[:], c.uint32(3)) // EOVERFLOW if it is allowed
	})
}

// Listmount handles listmount(request, ids, count, flags).
func Listmount(c *Call) Result {
	return c.askMounts(func(request []byte) unix.Errno {
		var first [1]uint64
		return sys.Listmount(request, first[:], c.uint32(3))
	})
}

// askMounts handles a call about the mounts that the request at argument 0 names. Ask makes
// the call with a copy of the request.
func (c *Call) askMounts(ask func(request []byte) unix.Errno) Result {
	if !c.lacksCap(unix.CAP_SYS_ADMIN) {
		return Continue
	}
	request := c.buffer()[:mountRequestMin]
	if n, e := c.Target.Read(c.addr(0), request); e != 0 || n < len(request) {
		return Continue // EFAULT
	}
	size := binary.NativeEndian.Uint32(request)
	if size < mountRequestMin || size > mountRequestMax {
		return Continue // EINVAL or E2BIG
	}
	request = c.buffer()[:size]
	if n, e := c.Target.Read(c.addr(0), request); e != 0 || n < len(request) {
		return Continue // EFAULT
	}
	if fd := binary.NativeEndian.Uint32(request[mountRequestFD:]); fd != 0 {
		dup, e := c.Target.Dup(int32(fd))
		if e != 0 {
			return unchecked(e)
		}
		defer unix.Close(dup)
		binary.NativeEndian.PutUint32(request[mountRequestFD:], uint32(dup))
	}
	e := c.Target.InMountNamespace(func() unix.Errno {
		return c.asCaller(func() unix.Errno { return ask(request) })
	})
	if e == unix.EPERM {
		return Errno(e)
	}
	return Continue
}
