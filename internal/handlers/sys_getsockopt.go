package handlers

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// The credentials of the peer of a Unix socket. The kernel provides the process, the table
// of identities its credentials.

// Getsockopt handles getsockopt(sockfd, level, optname, optval, optlen) for
// SO_PEERCRED and SO_PEERGROUPS.
func Getsockopt(c *Call) Result {
	return c.getsockopt(c.int32(0), c.int32(1), c.int32(2), c.addr(3), c.addr(4))
}

func (c *Call) getsockopt(sock, level, name int32, value, size uintptr) Result {
	switch {
	case level != unix.SOL_SOCKET:
		return Continue
	case name == unix.SO_PEERGROUPS: // the kernel's answer is never right: it has the host user's groups
	case name != unix.SO_PEERCRED || !c.Identities.InUse():
		return Continue
	}
	peer, s, ok := c.peer(sock)
	if !ok {
		return Continue
	}
	var room [4]byte
	if n, e := c.Target.Read(size, room[:]); e != 0 || n < len(room) {
		return Continue // EFAULT
	}
	length := int32(binary.NativeEndian.Uint32(room[:]))
	if length < 0 {
		return Continue // EINVAL
	}
	if name == unix.SO_PEERGROUPS {
		return c.writeGroups(c.shownGroups(s.Groups), int(length), value, size)
	}
	pid, e := c.Target.SeenPID(peer)
	if e != 0 {
		return Continue
	}
	cred := unix.Ucred{Pid: pid, Uid: c.shownUID(s.UID.Effective), Gid: c.shownGID(s.GID.Effective)}
	return c.writeOption(unsafe.Slice((*byte)(unsafe.Pointer(&cred)), unix.SizeofUcred), int(length), value, size)
}

// peer returns the process at the other end of the caller's socket sock, by the
// supervisor's number, and its identity. Ok is false if the kernel's answer is right, or
// cannot be improved.
func (c *Call) peer(sock int32) (pid uint32, s identity.State, ok bool) {
	fd, e := c.Target.Dup(sock)
	if e != 0 {
		return 0, s, false
	}
	defer unix.Close(fd)
	var cred unix.Ucred
	if sys.PeerCredentials(fd, &cred) != 0 || cred.Pid <= 0 || cred.Uid != c.Owners.Mapped.UID {
		return 0, s, false // an error, no Unix socket, or another user of the host
	}
	s, e = c.Identities.Get(uint32(cred.Pid))
	return uint32(cred.Pid), s, e == 0 // ESRCH: the peer has ended
}

// writeOption writes as much of b as fits, and its size, as the kernel does.
func (c *Call) writeOption(b []byte, length int, value, size uintptr) Result {
	b = b[:min(length, len(b))]
	if e := c.write(value, b); e != 0 {
		return Errno(e)
	}
	return Errno(c.writeSize(len(b), size))
}

// writeGroups writes a list of group ids.
func (c *Call) writeGroups(groups []uint32, length int, value, size uintptr) Result {
	n := len(groups) * 4
	if length < n {
		// The kernel returns the size that is needed with ERANGE, which unix(7) does not
		// mention.
		if e := c.writeSize(n, size); e != 0 {
			return Errno(e)
		}
		return Errno(unix.ERANGE)
	}
	if n > 0 {
		if e := c.write(value, unsafe.Slice((*byte)(unsafe.Pointer(&groups[0])), n)); e != 0 {
			return Errno(e)
		}
	}
	return Errno(c.writeSize(n, size))
}

func (c *Call) writeSize(n int, size uintptr) unix.Errno {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(n))
	return c.write(size, b[:])
}
