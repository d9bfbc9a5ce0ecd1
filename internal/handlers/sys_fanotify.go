package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// FanotifyMark handles fanotify_mark(fd, flags, mask, dirfd, path), whose argument dirfd has this
// index: on i386, mask takes two registers.
//
// fanotify_find_path of fs/notify/fanotify/fanotify_user.c: "you can only watch an inode if you have
// read permissions on it", else EACCES.
func FanotifyMark(dirfd int) Handler {
	return func(c *Call) Result {
		flags := c.uint32(1)
		// Calls that flush look for no file.
		if !c.Restricted() || flags&(unix.FAN_MARK_ADD|unix.FAN_MARK_REMOVE) == 0 {
			return Continue
		}
		queue, e := c.Target.Dup(c.int32(0))
		if e != 0 {
			return unchecked(e)
		}
		defer unix.Close(queue)
		mask := c.Data.Args[2]
		if dirfd == 4 {
			mask = uint64(c.uint32(2)) | uint64(c.uint32(3))<<32
		}
		// The kernel finds the errors of other arguments before it looks at the path, which is none
		// here.
		if sys.FanotifyMark(queue, flags, mask, unix.AT_FDCWD, sys.Empty) != unix.ENOENT {
			return Continue
		}
		o := object{dirfd: c.int32(dirfd), path: dirfd + 1}
		if c.addr(dirfd+1) == 0 {
			o.path = byFD
		}
		if flags&unix.FAN_MARK_DONT_FOLLOW != 0 {
			o.flags = unix.AT_SYMLINK_NOFOLLOW
		}
		return c.watch(o, flags&unix.FAN_MARK_ONLYDIR != 0)
	}
}
