package handlers

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// pidfdCommands is the type of commands for pidfds, PIDFS_IOCTL_MAGIC of <linux/pidfd.h>.
const pidfdCommands = 0xff

// The numbers of such commands. The first ten open a namespace of the process.
const (
	pidfdLastNamespace = 10
	pidfdGetInfo       = 11
)

// struct pidfd_info: masks and offsets of its members.
const (
	pidfdInfoCreds = 1 << 1

	pidfdInfoPID  = 16 // pid, tgid and ppid
	pidfdInfoIDs  = 28 // ruid, rgid, euid, egid, suid, sgid, fsuid and fsgid
	pidfdInfoMin  = 64
	pidfdInfoRoom = 512
)

// pidfdIoctl handles ioctl(pidfd, cmd, arg).
func (c *Call) pidfdIoctl(cmd uint32) Result {
	number, size := cmd&0xff, cmd>>16&0x3fff
	switch {
	case number == pidfdGetInfo && size >= pidfdInfoMin && size <= pidfdInfoRoom:
		return c.pidfdInfo(cmd, size)
	case size != 0, number == 0, number > pidfdLastNamespace, c.Data.Args[2] != 0: // ENOTTY or EINVAL
		return Continue
	}
	process, e := c.Target.PidfdPID(c.int32(0))
	if e != 0 {
		return Continue
	}
	if e := c.mayInspectTask(process); e != 0 && c.hasPidfdCommand(cmd) {
		return continueUnlessDenied(e)
	}
	return Continue
}

// hasPidfdCommand reports whether the kernel knows the command cmd of the caller's pidfd, which takes no
// argument: ENOTTY before Linux 6.11. The kernel that cannot duplicate the pidfd is older.
func (c *Call) hasPidfdCommand(cmd uint32) bool {
	pidfd, e := c.Target.Dup(c.int32(0))
	if e != 0 {
		return false
	}
	defer unix.Close(pidfd)
	_, e = sys.IoctlInt(pidfd, cmd, unmappedAddress) // EINVAL
	return e != unix.ENOTTY
}

// pidfdInfo handles ioctl(pidfd, PIDFD_GET_INFO, struct pidfd_info *) for a struct of size bytes.
func (c *Call) pidfdInfo(cmd, size uint32) Result {
	process, e := c.Target.PidfdPID(c.int32(0))
	if e != 0 { // it is no pidfd, or the process has ended
		return Continue
	}
	pidfd, e := c.Target.Dup(c.int32(0))
	if e != 0 {
		return Continue
	}
	defer unix.Close(pidfd)
	var room [pidfdInfoRoom]byte
	info := room[:size]
	if n, e := c.Target.Read(c.addr(2), info); e != 0 || n < len(info) {
		return Continue // EFAULT
	}
	if e := sys.Ioctl(pidfd, cmd, unsafe.Pointer(&room)); e != 0 {
		return Errno(e)
	}
	for at := pidfdInfoPID; at < pidfdInfoIDs; at += 4 {
		if host := binary.NativeEndian.Uint32(info[at:]); host != 0 {
			seen, _ := c.Target.SeenPID(host) // 0 if the caller cannot see it
			binary.NativeEndian.PutUint32(info[at:], uint32(seen))
		}
	}
	if s, e := c.Identities.Get(process); e == 0 && binary.NativeEndian.Uint64(info)&pidfdInfoCreds != 0 {
		c.showIDs(info[pidfdInfoIDs:], &s.Credentials)
	}
	return Errno(c.write(c.addr(2), info))
}

// showIDs writes the user and group ids of credentials, as the caller sees them, in the order of struct
// pidfd_info.
func (c *Call) showIDs(b []byte, of *cred.Credentials) {
	ids := [...]uint32{
		c.shownUID(of.UID.Real), c.shownGID(of.GID.Real), c.shownUID(of.UID.Effective), c.shownGID(of.GID.Effective),
		c.shownUID(of.UID.Saved), c.shownGID(of.GID.Saved), c.shownUID(of.UID.FS), c.shownGID(of.GID.FS),
	}
	copy(b, bytesOf(ids[:]))
}

// ProcessMadvise handles process_madvise(pidfd, iovec, n, advice, flags).
//
// process_madvise(2): "Permission to provide a hint to external process is governed by a ptrace access
// mode PTRACE_MODE_READ_FSCREDS check".
func ProcessMadvise(c *Call) Result {
	if !c.Identities.InUse() || c.Data.Args[4] != 0 {
		return Continue // perhaps EINVAL
	}
	if process, e := c.Target.PidfdPID(c.int32(0)); e == 0 {
		return continueUnlessDenied(c.mayInspectTask(process))
	}
	return Continue
}
