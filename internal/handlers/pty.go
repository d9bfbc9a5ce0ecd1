package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// openPTMX handles an open of the inode of /dev/ptmx with these flags of open(2): it
// creates a pseudoterminal whose slave belongs to the caller.
//
// mount(8), devpts, "uid=value and gid=value: This sets the owner or the group of newly
// created pseudo terminals to the specified values. When nothing is specified, they will be
// set to the UID and GID of the creating process."
func (c *Call) openPTMX(i *inode, flags uint64) Result {
	const exclusive = unix.O_CREAT | unix.O_EXCL
	switch {
	// The kernel reuses names and inode numbers of slaves, so the sidecar may have the
	// record of a slave that no longer exists.
	case c.createsAsRoot() && !c.Owners.SidecarInUse():
		return Continue
	case flags&unix.O_DIRECTORY != 0, flags&exclusive == exclusive: // ENOTDIR, EEXIST
		return Continue
	}
	master, e := sys.Reopen(i.fd, deviceFlags(flags))
	if e != 0 {
		return Errno(e)
	}
	if e := c.recordSlave(master); e != 0 {
		unix.Close(master)
		return Errno(e)
	}
	return File(master, flags&unix.O_CLOEXEC != 0)
}

// recordSlave makes the caller the owner of the pseudoterminal's slave, except for ids that
// a mount option sets.
func (c *Call) recordSlave(master int) unix.Errno {
	// O_PATH does not open the terminal, and closing such a descriptor does not hang it up.
	slave, e := sys.IoctlInt(master, unix.TIOCGPTPEER, unix.O_PATH|unix.O_CLOEXEC)
	if e != 0 {
		return e
	}
	defer unix.Close(slave)
	var st unix.Stat_t
	if e := sys.Fstat(slave, &st); e != 0 {
		return e
	}
	id := c.fsIDs()
	if st.Uid != c.Owners.Mapped.UID {
		id.UID = owner.Noop
	}
	if st.Gid != c.Owners.Mapped.GID {
		id.GID = owner.Noop
	}
	return c.Owners.Set(slave, st.Dev, st.Mode, id)
}
