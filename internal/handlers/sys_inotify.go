package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/perm"
)

// InotifyAddWatch handles inotify_add_watch(fd, path, mask).
//
// "EACCES Read access to the given file is not permitted."
func InotifyAddWatch(c *Call) Result {
	mask := c.uint32(2)
	const both = unix.IN_MASK_ADD | unix.IN_MASK_CREATE
	// EINVAL and EBADF come first. The file type of an inotify descriptor is 0.
	if !c.Restricted() || mask&watchBits == 0 || mask&both == both {
		return Continue
	}
	queue, e := c.openFD(c.int32(0))
	if e != 0 {
		return Continue
	}
	isInotify := queue.kind() == 0
	c.close(queue)
	if !isInotify {
		return Continue
	}
	o := object{dirfd: unix.AT_FDCWD, path: 1}
	if mask&unix.IN_DONT_FOLLOW != 0 {
		o.flags = unix.AT_SYMLINK_NOFOLLOW
	}
	return c.watch(o, mask&unix.IN_ONLYDIR != 0)
}

// watch answers a call that watches an object, for which the caller needs permission to read. OnlyDir means
// that the call has the error ENOTDIR for what is not a directory.
func (c *Call) watch(o object, onlyDir bool) Result {
	i, e := c.openObject(o)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer c.close(i)
	if onlyDir && !i.isDir() {
		return Continue
	}
	return continueUnlessDenied(c.permits(i, perm.Read))
}

// watchBits are the bits that inotify_add_watch(2) accepts, ALL_INOTIFY_BITS of
// <linux/inotify.h>: "EINVAL The given event mask contains no valid events".
const watchBits = unix.IN_ALL_EVENTS | unix.IN_UNMOUNT | unix.IN_Q_OVERFLOW | unix.IN_IGNORED | unix.IN_ONLYDIR |
	unix.IN_DONT_FOLLOW | unix.IN_EXCL_UNLINK | unix.IN_MASK_ADD | unix.IN_MASK_CREATE | unix.IN_ISDIR | unix.IN_ONESHOT
