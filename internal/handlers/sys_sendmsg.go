package handlers

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Messages with credentials that the sender names. The kernel sends all other messages, and
// attaches the process id of the sender, by which recvmsg finds its ids.

// Sendmsg handles sendmsg(sockfd, msg, flags).
func Sendmsg(c *Call) Result { return c.sendmsg(c.int32(0), c.addr(1), c.uint32(2), 8) }

// Sendmsg32 handles sendmsg of i386.
func Sendmsg32(c *Call) Result { return c.sendmsg(c.int32(0), c.addr(1), c.uint32(2), 4) }

// sendmsg handles sendmsg by a program whose type long has so many bytes.
func (c *Call) sendmsg(fd int32, addr uintptr, flags uint32, long int) Result {
	var m message
	if !c.mayNameIDs() || !c.readMessage(&m, addr, long) || !m.hasControl() {
		return Continue
	}
	return c.sendControl(fd, &m, flags)
}

// mayNameIDs reports whether a message may name credentials that the kernel does not know, and
// that somebody looks at: not as long as every task is root.
func (c *Call) mayNameIDs() bool {
	return (c.Identities.InUse() || c.Sockets.passed()) && !c.inRuntime()
}

// sendControl sends the message m if it names credentials that the kernel does not know.
func (c *Call) sendControl(fd int32, m *message, flags uint32) Result {
	var b [maxControl]byte
	control, ok := c.readControl(m, &b)
	if !ok || !namesCredentials(control, m.long) {
		return Continue
	}
	socket, ok := c.unixSocket(fd)
	if !ok {
		return Continue
	}
	defer unix.Close(socket)
	t, native, e := c.checkNamed(control, m.long)
	if e != 0 {
		return Errno(e)
	}
	if native {
		return Continue
	}
	return c.sendAs(socket, &t, m, control, flags)
}

// Sendmmsg handles sendmmsg(sockfd, msgvec, vlen, flags).
func Sendmmsg(c *Call) Result {
	return c.sendmmsg(c.int32(0), c.addr(1), c.uint32(2), c.uint32(3), 8)
}

// Sendmmsg32 handles sendmmsg of i386.
func Sendmmsg32(c *Call) Result {
	return c.sendmmsg(c.int32(0), c.addr(1), c.uint32(2), c.uint32(3), 4)
}

// sendmmsg sends one message if any of them names credentials.
//
// sendmmsg(2): "sendmmsg() returns the number of messages sent from msgvec; if this is less than
// vlen, the caller can retry with a further sendmmsg() call to send the remaining messages."
func (c *Call) sendmmsg(fd int32, addr uintptr, count, flags uint32, long int) Result {
	var first message
	if count == 0 || !c.mayNameIDs() || !c.readMessage(&first, addr, long) || !c.anyNames(&first, count) {
		return Continue
	}
	socket, ok := c.unixSocket(fd)
	if !ok {
		return Continue
	}
	defer unix.Close(socket)
	var b [maxControl]byte
	control, _ := c.readControl(&first, &b)
	t, _, e := c.checkNamed(control, long)
	if e != 0 {
		return Errno(e)
	}
	r := c.sendAs(socket, &t, &first, control, flags)
	if r.Errno != 0 || r.Wait != 0 {
		return r
	}
	if e := c.putUint32(first.lengthAt(), uint32(r.Val)); e != 0 {
		return Errno(e)
	}
	r.Val = 1
	return r
}

// anyNames reports whether one of count messages, from m on, names credentials.
func (c *Call) anyNames(m *message, count uint32) bool {
	next := *m
	for i := uint32(0); ; {
		if next.hasControl() && c.names(&next) {
			return true
		}
		if i++; i == min(count, maxParts) || !c.readMessage(&next, next.next(), next.long) {
			return false
		}
	}
}

// names reports whether m names credentials.
func (c *Call) names(m *message) bool {
	var b [maxControl]byte
	control, ok := c.readControl(m, &b)
	return ok && namesCredentials(control, m.long)
}

// namesCredentials reports whether there is an SCM_CREDENTIALS message in control, and the kernel
// will find no error in control.
func namesCredentials(control []byte, long int) (names bool) {
	for {
		level, kind, data, rest, more := nextControl(control, long)
		switch {
		case !more:
			return names && len(control) < controlHeader(long)
		case level != unix.SOL_SOCKET:
		case kind == unix.SCM_CREDENTIALS:
			if _, ok := ucredOf(data); !ok {
				return false // EINVAL
			}
			names = true
		case kind != unix.SCM_RIGHTS:
			return false // EINVAL
		}
		control = rest
	}
}

// unixSocket returns a duplicate of the caller's socket fd. Ok is false if it is not a Unix
// socket, or if the kernel cannot duplicate it.
func (c *Call) unixSocket(fd int32) (socket int, ok bool) {
	socket, e := c.Target.Dup(fd)
	if e != 0 {
		return -1, false // EBADF, or the kernel cannot duplicate it
	}
	domain, e := sys.SocketOption(socket, unix.SO_DOMAIN)
	if e != 0 || domain != unix.AF_UNIX {
		unix.Close(socket)
		return -1, false
	}
	return socket, true
}

// checkNamed checks the credentials that control names, and returns the last ones as a token, or
// those of the caller if there are none. Native reports whether the kernel accepts them from the
// caller, and receivers find them by the process id.
func (c *Call) checkNamed(control []byte, long int) (t token, native bool, e unix.Errno) {
	id, mapped := c.identity(), c.Owners.Mapped
	t = token{host: c.PID, uid: id.UID.Real, gid: id.GID.Real}
	if t.seen, e = c.Target.SeenPID(c.PID); e != 0 {
		return t, false, e
	}
	for native = true; ; {
		level, kind, data, rest, more := nextControl(control, long)
		if !more {
			return t, native, 0
		}
		control = rest
		if level != unix.SOL_SOCKET || kind != unix.SCM_CREDENTIALS {
			continue
		}
		named, _ := ucredOf(data)
		if named.Uid, e = c.givenUID(named.Uid); e != 0 {
			return t, false, e
		}
		if named.Gid, e = c.givenGID(named.Gid); e != 0 {
			return t, false, e
		}
		host, missing := c.Target.HostPID(named.Pid)
		own := missing == 0 && c.Target.SameProcess(host, c.PID)
		if e := cred.MaySend(id.Credentials, own, named.Uid, named.Gid); e != 0 {
			return t, false, e
		}
		if missing != 0 || !own && !c.Target.Exists(host) {
			return t, false, unix.ESRCH
		}
		t = token{host: host, seen: named.Pid, uid: named.Uid, gid: named.Gid}
		native = native && own && c.namespace() == nil && t.uid == id.UID.Real && t.gid == id.GID.Real && t.uid == mapped.UID && t.gid == mapped.GID
	}
}

const (
	// maxStream is how many bytes of a stream are transferred by one call: fewer than the kernel
	// puts into one buffer, all of whose bytes have the same credentials and descriptors.
	maxStream = 32 << 10
	// maxRights is SCM_MAX_FD of <net/scm.h>, the maximum number of descriptors in a message.
	maxRights = 253
)

// sendAs sends the caller's message with a token.
func (c *Call) sendAs(socket int, t *token, m *message, control []byte, flags uint32) Result {
	kind, e := sys.SocketOption(socket, unix.SO_TYPE)
	if e != 0 {
		return Errno(e)
	}
	limit := maxStream
	if kind != unix.SOCK_STREAM {
		if limit, e = sys.SocketOption(socket, unix.SO_SNDBUF); e != 0 {
			return Errno(e)
		}
	}
	size, e := c.dataSize(m, limit+1)
	switch {
	case e != 0:
		return Errno(e)
	case size > limit && kind != unix.SOCK_STREAM:
		return Errno(unix.EMSGSIZE)
	}
	size = min(size, limit)
	data := c.buffer()
	if size > len(data) {
		data = make([]byte, size)
	}
	data = data[:size]
	if e := c.readData(m, data); e != 0 {
		return Errno(e)
	}
	address, cwd, e := c.destination(m)
	if e != 0 {
		return Errno(e)
	}
	if cwd >= 0 {
		defer unix.Close(cwd)
	}

	var fds [maxRights + 1]int32
	n, e := c.takeRights(control, m.long, fds[:maxRights])
	defer func() {
		for _, fd := range fds[:n] {
			unix.Close(int(fd))
		}
	}()
	if e != 0 {
		return Errno(e)
	}
	rights := n
	if n < maxRights && !c.peerIsOutside(socket) {
		if t.pidNS, e = c.Target.PIDNamespace(); e != 0 {
			return Errno(unix.ESRCH) // the caller is gone
		}
		fd, e := newToken(t)
		if e != 0 {
			return Errno(e)
		}
		fds[n] = int32(fd)
		n++
		c.Sockets.sendToken()
	}
	if !c.Listener.Waits() {
		return Errno(unix.ESRCH)
	}
	sent, e := c.sendFrom(cwd, socket, address, data, fds[:n], flags|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	if e == unix.EPERM && rights == 0 && n == 1 { // the receiver has cleared SO_PASSRIGHTS
		sent, e = c.sendFrom(cwd, socket, address, data, nil, flags|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	}
	switch {
	case e == unix.EAGAIN && c.blocks(socket, flags):
		return c.wait(socket, unix.POLLOUT, unix.SO_SNDTIMEO)
	case e == unix.EPIPE && kind == unix.SOCK_STREAM && flags&unix.MSG_NOSIGNAL == 0:
		c.Target.Signal(unix.SIGPIPE)
	}
	if e != 0 {
		return Errno(e)
	}
	return Result{Val: int64(sent), Final: true}
}

// takeRights duplicates the descriptors of the SCM_RIGHTS messages in control into fds, and
// returns their number, even with an error.
func (c *Call) takeRights(control []byte, long int, fds []int32) (n int, e unix.Errno) {
	for {
		level, kind, data, rest, more := nextControl(control, long)
		if !more {
			return n, 0
		}
		for ; level == unix.SOL_SOCKET && kind == unix.SCM_RIGHTS && len(data) >= 4; data = data[4:] {
			if n == len(fds) {
				return n, unix.EINVAL
			}
			fd, e := c.Target.Dup(*(*int32)(unsafe.Pointer(&data[0])))
			if e != 0 {
				return n, e
			}
			fds[n] = int32(fd)
			n++
		}
		control = rest
	}
}

// sendFrom is sendRights from the directory cwd, if it is not -1.
func (c *Call) sendFrom(cwd, socket int, address, data []byte, fds []int32, flags uint32) (int, unix.Errno) {
	if cwd < 0 {
		return sendRights(socket, address, data, fds, flags)
	}
	if e := sys.Fchdir(cwd); e != 0 {
		return 0, e
	}
	sent, e := sendRights(socket, address, data, fds, flags)
	if c.Target.ReturnToProc() != 0 {
		panic("cannot return to the supervisor's /proc")
	}
	return sent, e
}

// sendRights sends data with the descriptors fds to an address, which is empty for the peer.
func sendRights(socket int, address, data []byte, fds []int32, flags uint32) (int, unix.Errno) {
	var b [maxControl]byte
	var h unix.Msghdr
	iov := unix.Iovec{Base: unsafe.SliceData(data), Len: uint64(len(data))}
	h.Iov, h.Iovlen = &iov, 1
	if len(address) > 0 {
		h.Name, h.Namelen = &address[0], uint32(len(address))
	}
	if len(fds) > 0 {
		putControlHeader(b[:], 4*len(fds), unix.SOL_SOCKET, unix.SCM_RIGHTS, 8)
		copy(b[controlHeader(8):], unsafe.Slice((*byte)(unsafe.Pointer(&fds[0])), 4*len(fds)))
		h.Control = &b[0]
		h.Controllen = uint64(controlSpace(4*len(fds), 8))
	}
	return sys.Sendmsg(socket, &h, flags)
}

// destination returns the address that the message goes to, nil for the socket's peer. If it is a
// path, the caller may write to the socket, and cwd is a descriptor of the directory that the path
// starts from; otherwise cwd is -1.
func (c *Call) destination(m *message) (address []byte, cwd int, e unix.Errno) {
	if m.name == 0 || m.nameSize == 0 {
		return nil, -1, 0
	}
	if m.nameSize > maxAddress {
		return nil, -1, unix.EINVAL
	}
	address = make([]byte, m.nameSize)
	if n, e := c.Target.Read(m.name, address); e != 0 || n < len(address) {
		return nil, -1, unix.EFAULT
	}
	var sa sockaddr
	text := c.unixAddress(&sa, m.name, m.nameSize)
	if text == nil {
		return address, -1, 0
	}
	p, e := c.Target.PathOf(text)
	if e != 0 {
		return nil, -1, e
	}
	i, e := c.openPath(p)
	if e != 0 {
		return nil, -1, e
	}
	defer c.close(i)
	if c.Restricted() {
		if e := c.permits(i, perm.Write); e != 0 {
			return nil, -1, e
		}
	}
	cwd, e = c.Target.OpenCwd()
	return address, cwd, e
}

// peerIsOutside reports whether the other end of the socket is connected to, and belongs to a
// process outside of the container. Such a peer would not understand a token.
func (c *Call) peerIsOutside(socket int) bool {
	var peer unix.Ucred
	if sys.PeerCredentials(socket, &peer) != 0 || peer.Pid <= 0 {
		return false
	}
	pid := uint32(peer.Pid)
	return c.Target.Exists(pid) && !c.Target.InContainer(pid) && !c.Identities.Own(pid)
}

// blocks reports whether a call with these flags blocks.
func (c *Call) blocks(socket int, flags uint32) bool {
	if flags&unix.MSG_DONTWAIT != 0 {
		return false
	}
	status, err := unix.FcntlInt(uintptr(socket), unix.F_GETFL, 0)
	return err == nil && status&unix.O_NONBLOCK == 0
}

// wait makes the call wait for an event of the socket, not longer than its option timeout says.
func (c *Call) wait(socket int, event int16, timeout int) Result {
	own, err := unix.FcntlInt(uintptr(socket), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return Errno(err.(unix.Errno))
	}
	var tv unix.Timeval
	_, e := sys.Getsockopt(socket, unix.SOL_SOCKET, timeout, unsafe.Slice((*byte)(unsafe.Pointer(&tv)), unsafe.Sizeof(tv)))
	if e != 0 {
		tv = unix.Timeval{}
	}
	return Result{Val: int64(own), Wait: event, Timeout: time.Duration(tv.Nano())}
}
