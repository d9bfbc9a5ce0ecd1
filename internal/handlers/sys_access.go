package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Calls that the kernel executes, as soon as the caller may reach what they name.

// Reach answers calls whose first argument is a path, to whose object they need the
// permissions in want: see path_resolution(7).
func Reach(want uint32) Handler {
	return func(c *Call) Result { return c.reach(byPath, want) }
}

// Readlink answers readlink(path, buf, size).
func Readlink(c *Call) Result { return c.readlink(byLink, 2) }

// Readlinkat answers readlinkat(dirfd, path, buf, size).
//
// "Since Linux 2.6.39, pathname can be an empty string, in which case the call operates on the
// symbolic link referred to by dirfd".
func Readlinkat(c *Call) Result {
	return c.readlink(object{dirfd: c.int32(0), path: 1, flags: unix.AT_SYMLINK_NOFOLLOW | unix.AT_EMPTY_PATH}, 3)
}

func (c *Call) readlink(o object, size int) Result {
	if !c.Restricted() || c.int32(size) <= 0 { // EINVAL
		return Continue
	}
	i, e := c.openObject(o)
	if e == 0 {
		// All links in /proc/PID are such that lead right to what the task has open.
		if i.kind() == unix.S_IFLNK && i.isProc() {
			e = c.mayLookInto(i)
		}
		c.close(i)
	}
	return continueUnlessDenied(e)
}

// Chdir answers chdir(path).
func Chdir(c *Call) Result {
	if !c.Restricted() {
		return Continue
	}
	return c.enter(c.openObject(byPath))
}

// Fchdir answers fchdir(fd).
func Fchdir(c *Call) Result {
	if !c.Restricted() {
		return Continue
	}
	return c.enter(c.openPath(c.Target.FD(c.int32(0))))
}

// enter answers a call that makes the directory i the caller's working directory, unless
// there was an error e. It closes i.
func (c *Call) enter(i *inode, e unix.Errno) Result {
	if e == 0 {
		// ENOTDIR is the kernel's own, and comes first.
		if i.isDir() {
			e = c.permits(i, perm.Exec)
		}
		c.close(i)
	}
	return continueUnlessDenied(e)
}

// Access answers access(path, mode).
func Access(c *Call) Result { return c.faccess(byPath, c.uint32(1), 0) }

// Faccessat answers the system call faccessat(dirfd, path, mode), which has no flags.
func Faccessat(c *Call) Result {
	return c.faccess(object{dirfd: c.int32(0), path: 1}, c.uint32(2), 0)
}

// Faccessat2 answers faccessat2(dirfd, path, mode, flags).
func Faccessat2(c *Call) Result {
	flags := c.uint32(3)
	return c.faccess(object{dirfd: c.int32(0), path: 1, flags: flags &^ unix.AT_EACCESS}, c.uint32(2), flags&unix.AT_EACCESS)
}

func (c *Call) faccess(o object, mode, effective uint32) Result {
	if mode&^(perm.Read|perm.Write|perm.Exec) != 0 || c.NoPermissions || !c.Identities.InUse() {
		return Continue
	}
	if effective == 0 {
		c.assumedAs, c.assumed = c.identity().Access(), true
	}
	return c.reach(o, mode)
}

// Truncate answers truncate(path, length).
func Truncate(c *Call) Result { return c.truncate(int64(c.Data.Args[1])) }

// Truncate32 answers truncate(path, length) of i386.
func Truncate32(c *Call) Result { return c.truncate(int64(c.int32(1))) }

// Truncate64 answers truncate64(path, low, high) of i386.
func Truncate64(c *Call) Result { return c.truncate(int64(c.int32(2))<<32 | int64(c.uint32(1))) }

func (c *Call) truncate(length int64) Result {
	if !c.Restricted() && c.kernelDecides(1<<unix.CAP_FSETID) {
		return Continue
	}
	if length < 0 {
		return Continue // truncate(2): "EINVAL The argument length is negative"
	}
	i, e := c.openObject(byPath)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer c.close(i)
	// "EISDIR The named file is a directory", "EINVAL [...] the named file is not a regular file".
	if i.kind() != unix.S_IFREG {
		return Continue
	}
	if e := c.permits(i, perm.Write); e != 0 {
		return Errno(e)
	}
	return c.clearSetID(i)
}

// clearSetID clears the set-id bits that a regular file loses when the caller truncates it.
// The kernel, which sees root, would keep them.
func (c *Call) clearSetID(i *inode) Result {
	if i.stat.Mode&(unix.S_ISUID|unix.S_ISGID) == 0 {
		return Continue
	}
	v := c.visible(i)
	if mode := perm.Written(c.identity().Credentials, v); mode != v.Mode {
		// The kernel may refuse yet: "ETXTBSY The file is an executable file that is being executed".
		writable, e := sys.Reopen(i.fd, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC)
		if e != 0 {
			return Continue
		}
		unix.Close(writable)
		if e := sys.FchmodOPath(i.fd, mode); e != 0 {
			return Errno(e)
		}
	}
	return Continue
}

// handleFlags are the flags of name_to_handle_at(2).
const handleFlags = unix.AT_SYMLINK_FOLLOW | unix.AT_EMPTY_PATH | atHandleFID | atHandleConnectable | atHandleMntIDUnique

// Of <linux/fcntl.h>, since Linux 6.5, 6.13 and 6.12.
const (
	atHandleFID         = 0x200
	atHandleConnectable = 0x2
	atHandleMntIDUnique = 0x1
)

// NameToHandleAt answers name_to_handle_at(dirfd, path, handle, mount_id, flags).
func NameToHandleAt(c *Call) Result {
	given := c.uint32(4)
	if given&^handleFlags != 0 {
		return Continue // EINVAL
	}
	flags := given & unix.AT_EMPTY_PATH
	if given&unix.AT_SYMLINK_FOLLOW == 0 {
		flags |= unix.AT_SYMLINK_NOFOLLOW
	}
	return c.reach(object{dirfd: c.int32(0), path: 1, flags: flags}, 0)
}

// InotifyAddWatch answers inotify_add_watch(fd, path, mask).
//
// "EACCES Read access to the given file is not permitted."
func InotifyAddWatch(c *Call) Result {
	mask := c.uint32(2)
	const both = unix.IN_MASK_ADD | unix.IN_MASK_CREATE
	// EINVAL and EBADF come first: an inotify descriptor has no type of file.
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
	i, e := c.openObject(o)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer c.close(i)
	// "ENOTDIR mask contains IN_ONLYDIR and pathname is not a directory."
	if mask&unix.IN_ONLYDIR != 0 && !i.isDir() {
		return Continue
	}
	return continueUnlessDenied(c.permits(i, perm.Read))
}

// watchBits are the bits that inotify_add_watch(2) knows, ALL_INOTIFY_BITS of <linux/inotify.h>:
// "EINVAL The given event mask contains no valid events".
const watchBits = unix.IN_ALL_EVENTS | unix.IN_UNMOUNT | unix.IN_Q_OVERFLOW | unix.IN_IGNORED | unix.IN_ONLYDIR |
	unix.IN_DONT_FOLLOW | unix.IN_EXCL_UNLINK | unix.IN_MASK_ADD | unix.IN_MASK_CREATE | unix.IN_ISDIR | unix.IN_ONESHOT
