package handlers

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// Servers of FUSE file systems. One that shows files of other file systems, as fuse-overlayfs and
// bindfs do, passes their owners to the kernel, which knows none of the emulated ids. So the
// server gets what the kernel stores: all files belong to the mapped id, and the records are
// attributes, which the server passes on like others. The supervisor then reads and writes the
// records through the file system, and the kernel asks the server for nothing else.

// Serves reports whether the caller serves a file system: see identity.State.Serves.
func (c *Call) Serves() bool { return c.Identities.ServersInUse() && c.identity().Serves }

// ServeFile handles the calls of a server that are about files.
func ServeFile(*Call) Result { return Continue }

// ServeSetxattr handles setxattr(path, name, value, size, flags) of a server.
//
// The kernel asks a server for an attribute of a symbolic link, not of what it leads to, and only
// records are stored there. fuse-overlayfs follows the link, and would change another file.
func ServeSetxattr(c *Call) Result {
	args := c.valueArgs()
	return c.serveLink(args.size, func(i *inode, a *xattrName) unix.Errno {
		value := c.buffer()[:args.size]
		if n, e := c.Target.Read(args.value, value); e != 0 || n < len(value) {
			return unix.EFAULT
		}
		return setxattrOPath(i.fd, &a[0], value, args.flags)
	})
}

// ServeRemovexattr handles removexattr(path, name) of a server, as ServeSetxattr does.
func ServeRemovexattr(c *Call) Result {
	return c.serveLink(0, func(i *inode, a *xattrName) unix.Errno { return removexattrOPath(i.fd, &a[0]) })
}

// serveLink makes a change of the attribute of a file whose name is argument 1 if the path is that
// of a symbolic link. The kernel makes others. Size is that of the value.
func (c *Call) serveLink(size uint64, change func(*inode, *xattrName) unix.Errno) Result {
	var a xattrName
	if size > xattrSizeMax || c.readXattrName(1, &a) != xattrCapability {
		return Continue
	}
	i, e := c.openForAttributes(byLink)
	if e != 0 {
		return Errno(e)
	}
	defer c.close(i)
	if i.kind() != unix.S_IFLNK {
		return Continue
	}
	if !c.Listener.Waits() {
		return Errno(unix.ESRCH)
	}
	return Result{Errno: change(i, &a), Final: true}
}

// noteServer notes which process serves the file system that the caller mounts, if it is one of
// FUSE. Only a process that reaches all files anyway may become a server.
func (c *Call) noteServer() unix.Errno {
	if c.mountFlags()&(optionlessFlags|unix.MS_REMOUNT) != 0 {
		return 0
	}
	var fstype [256]byte
	n, e := c.Target.ReadString(c.addr(2), fstype[:])
	if e != 0 {
		return 0
	}
	// A dot precedes the name of the server, as in "fuse.bindfs".
	if kind, _, _ := bytes.Cut(fstype[:n], []byte(".")); string(kind) != "fuse" {
		return 0
	}
	server, ok := c.Target.Starter(helperVariable)
	if !ok || !c.Target.InContainer(server) {
		server = c.PID
	}
	s, e := c.Identities.Get(server)
	// fusermount has its set-user-ID bit: the real user id is that of the server, or of a user
	// that may not make its parent a server.
	if e != 0 || s.Namespace != nil || !s.ReachesAll() || !s.Capable(unix.CAP_SYS_ADMIN) || s.UID.Effective != c.identity().UID.Real {
		return 0
	}
	if !c.Listener.Waits() {
		return unix.ESRCH
	}
	c.known = false
	return c.Identities.Serve(server)
}

// helperVariable names the socket on which fusermount(1) sends the descriptor of /dev/fuse to the
// process that has started it, and that serves the file system.
const helperVariable = "_FUSE_COMMFD"
