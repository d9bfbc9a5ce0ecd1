package handlers

import (
	"encoding/binary"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// The credentials of the sender of a message. The kernel attaches the process id and ids that its
// user namespace maps. If these are not the emulated ids, the supervisor receives the message and
// copies it to the caller; the kernel delivers all others.
//
// The supervisor first looks at the message that is next. Another reader of the socket may take it
// meanwhile. A message that the supervisor then receives has its own credentials; one that
// the kernel delivers has the kernel's.

// Recvmsg handles recvmsg(sockfd, msg, flags).
func Recvmsg(c *Call) Result { return c.recvmsg(c.int32(0), c.addr(1), c.uint32(2), 8) }

// Recvmsg32 handles recvmsg of i386.
func Recvmsg32(c *Call) Result { return c.recvmsg(c.int32(0), c.addr(1), c.uint32(2), 4) }

// recvmsg handles recvmsg by a program whose type long has so many bytes.
func (c *Call) recvmsg(fd int32, addr uintptr, flags uint32, long int) Result {
	var m message
	if !c.mayReceiveIDs() || !c.readMessage(&m, addr, long) || !m.hasControl() {
		return Continue
	}
	return c.receive(fd, &m, flags, false)
}

// Recvmmsg handles recvmmsg(sockfd, msgvec, vlen, flags, timeout).
func Recvmmsg(c *Call) Result {
	return c.recvmmsg(c.int32(0), c.addr(1), c.uint32(2), c.uint32(3), 8)
}

// Recvmmsg32 handles recvmmsg of i386.
func Recvmmsg32(c *Call) Result {
	return c.recvmmsg(c.int32(0), c.addr(1), c.uint32(2), c.uint32(3), 4)
}

// recvmmsg receives one message from a socket that passes credentials.
func (c *Call) recvmmsg(fd int32, addr uintptr, count, flags uint32, long int) Result {
	var m message
	if count == 0 || !c.mayReceiveIDs() || !c.readMessage(&m, addr, long) || !m.hasControl() {
		return Continue
	}
	r := c.receive(fd, &m, flags&^unix.MSG_WAITFORONE, true)
	if r.Continue || r.Errno != 0 || r.Wait != 0 {
		return r
	}
	if e := c.putUint32(m.lengthAt(), uint32(r.Val)); e != 0 {
		return Errno(e)
	}
	r.Val = 1
	return r
}

// mayReceiveIDs reports whether there may be messages with credentials that the kernel does not
// know. That all tasks are root does not matter: one of them may wait for the message of another
// user.
func (c *Call) mayReceiveIDs() bool {
	return (c.Sockets.passed() || c.Sockets.tokens()) && !c.inRuntime()
}

// receive receives the message that is next in the caller's socket fd, if the kernel does not know
// the credentials of its sender, or if all is true.
func (c *Call) receive(fd int32, m *message, flags uint32, all bool) Result {
	if flags&(unix.MSG_ERRQUEUE|unix.MSG_OOB) != 0 {
		return Continue
	}
	socket, ok := c.unixSocket(fd)
	if !ok {
		return Continue
	}
	defer unix.Close(socket)
	passes, e := sys.SocketOption(socket, unix.SO_PASSCRED)
	if e != 0 || passes == 0 && !c.Sockets.tokens() {
		return Continue
	}
	if offset, e := sys.SocketOption(socket, unix.SO_PEEK_OFF); e == 0 && offset >= 0 {
		return Continue // looking at the message would change the offset
	}
	var in incoming
	e = in.receive(socket, nil, unix.MSG_PEEK|unix.MSG_TRUNC)
	in.closeFDs()
	switch {
	case e == unix.EAGAIN && passes == 0:
		return Continue
	case e == unix.EAGAIN && c.blocks(socket, flags):
		return c.wait(socket, unix.POLLIN, unix.SO_RCVTIMEO)
	case e != 0:
		return Errno(e) // the kernel reports some errors only once
	case !all && !c.needsIDs(&in):
		return Continue
	}
	kind, e := sys.SocketOption(socket, unix.SO_TYPE)
	if e != 0 {
		return Errno(e)
	}
	data := c.buffer()
	limit := max(in.size, len(data)) // another message may be longer
	if kind == unix.SOCK_STREAM {
		limit = maxStream
	}
	size, e := c.dataSize(m, limit)
	if e != 0 {
		return Errno(e)
	}
	if size > len(data) {
		data = make([]byte, size)
	}
	if !c.Listener.Waits() {
		return Errno(unix.ESRCH)
	}
	e = in.receive(socket, data[:size], flags&^(unix.MSG_WAITALL|unix.MSG_CMSG_CLOEXEC))
	defer in.closeFDs()
	switch {
	case e == unix.EAGAIN && c.blocks(socket, flags): // another reader has it
		return c.wait(socket, unix.POLLIN, unix.SO_RCVTIMEO)
	case e != 0:
		return Errno(e)
	}
	if passes != 0 {
		c.setSender(&in)
	}
	if e := c.deliver(m, &in, data[:min(in.size, size)], flags); e != 0 {
		return Errno(e)
	}
	return Result{Val: int64(in.size), Final: true}
}

// incoming is a message as the supervisor has received it.
type incoming struct {
	size    int // the result of recvmsg(2)
	flags   int32
	name    [maxAddress]byte
	nameLen uint32
	control [maxControl]byte
	length  int // of control

	// Parts of control; nil if absent.
	cred   []byte // struct ucred
	rights []byte // descriptors, without the token
	pidfd  []byte
	token  token
	named  bool // token is set
}

// receive receives a message from the socket into data. If data is nil, it receives one byte, and
// flags has MSG_PEEK. The caller closes the descriptors.
func (in *incoming) receive(socket int, data []byte, flags uint32) unix.Errno {
	var h unix.Msghdr
	var one [1]byte
	if data == nil {
		data = one[:]
	}
	iov := unix.Iovec{Base: unsafe.SliceData(data), Len: uint64(len(data))}
	h.Iov, h.Iovlen = &iov, 1
	h.Name, h.Namelen = &in.name[0], maxAddress
	h.Control, h.Controllen = &in.control[0], maxControl
	n, e := sys.Recvmsg(socket, &h, flags|unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	in.cred, in.rights, in.pidfd, in.named, in.length = nil, nil, nil, false, 0
	if e != 0 {
		return e
	}
	in.size, in.flags, in.nameLen, in.length = n, h.Flags, h.Namelen, int(h.Controllen)
	for control := in.control[:in.length]; ; {
		level, kind, data, rest, more := nextControl(control, 8)
		if !more {
			return 0
		}
		if level == unix.SOL_SOCKET {
			switch kind {
			case unix.SCM_CREDENTIALS:
				in.cred = data
			case unix.SCM_PIDFD:
				in.pidfd = data
			case unix.SCM_RIGHTS:
				in.rights = data
				in.takeToken()
			}
		}
		control = rest
	}
}

// takeToken removes the token from the received descriptors, if there is one. It is the last.
func (in *incoming) takeToken() {
	last := len(in.rights) - 4
	if last < 0 {
		return
	}
	fd := descriptor(in.rights[last:])
	if in.named = readToken(fd, &in.token); in.named {
		unix.Close(fd)
		in.rights = in.rights[:last]
	}
}

// descriptor returns the descriptor at the start of b.
func descriptor(b []byte) int { return int(int32(binary.NativeEndian.Uint32(b))) }

// closeFDs closes the received descriptors.
func (in *incoming) closeFDs() {
	for b := in.rights; len(b) >= 4; b = b[4:] {
		unix.Close(descriptor(b))
	}
	if len(in.pidfd) >= 4 && descriptor(in.pidfd) >= 0 {
		unix.Close(descriptor(in.pidfd))
	}
	in.rights, in.pidfd = nil, nil
}

// needsIDs reports whether the message has a token, or comes from a process whose real ids are not
// those that the kernel shows.
func (c *Call) needsIDs(in *incoming) bool {
	if in.named || in.cred != nil && c.namespace() != nil {
		return true
	}
	p, ok := c.kernelSender(in)
	return ok && (p.uid != c.Owners.Mapped.UID || p.gid != c.Owners.Mapped.GID)
}

// kernelSender returns the process that the kernel names as the sender. Ok is false if the kernel's
// credentials are right, or cannot be improved.
func (c *Call) kernelSender(in *incoming) (p sender, ok bool) {
	named, ok := ucredOf(in.cred)
	if !ok || named.Pid <= 0 || named.Uid != c.Owners.Mapped.UID {
		return p, false // no credentials, no sender, or another user of the host
	}
	if int(named.Pid) == os.Getpid() { // the supervisor, and the token is lost
		return sender{uid: overflowID, gid: overflowID}, true
	}
	return c.senderOf(uint32(named.Pid))
}

// setSender replaces the kernel's credentials in the message by the emulated ones. The process ids
// are those that the caller sees.
func (c *Call) setSender(in *incoming) {
	named, ok := ucredOf(in.cred)
	if !ok {
		return
	}
	p, known := c.kernelSender(in)
	switch {
	case in.named:
		named = unix.Ucred{Uid: c.shownUID(in.token.uid), Gid: c.shownGID(in.token.gid)}
		if ns, e := c.Target.PIDNamespace(); e == 0 && ns == in.token.pidNS {
			named.Pid = in.token.seen
		} else if seen, e := c.Target.SeenPID(in.token.host); e == 0 {
			named.Pid = seen
		}
		c.replacePidfd(in)
	case known:
		named = unix.Ucred{Pid: p.seen, Uid: c.shownUID(p.uid), Gid: c.shownGID(p.gid)}
		if p.seen == 0 && p.pid != 0 {
			named.Pid, _ = c.Target.SeenPID(p.pid)
		}
	case named.Pid > 0:
		named.Uid, named.Gid = c.shownUID(named.Uid), c.shownGID(named.Gid)
		if seen, e := c.Target.SeenPID(uint32(named.Pid)); e == 0 {
			named.Pid = seen
		}
	}
	*(*unix.Ucred)(unsafe.Pointer(&in.cred[0])) = named
}

// replacePidfd replaces the pidfd of the supervisor, which has sent the message, by that of the
// process that the token names.
func (c *Call) replacePidfd(in *incoming) {
	if len(in.pidfd) < 4 || descriptor(in.pidfd) < 0 {
		return
	}
	unix.Close(descriptor(in.pidfd))
	fd, e := sys.PidfdOpen(in.token.host, 0)
	if e != 0 {
		fd = -int(unix.ESRCH)
	}
	binary.NativeEndian.PutUint32(in.pidfd, uint32(int32(fd)))
}

// deliver copies the message, whose bytes are data, to the caller.
func (c *Call) deliver(m *message, in *incoming, data []byte, flags uint32) unix.Errno {
	e := c.writeData(m, data)
	if e == 0 && m.name != 0 {
		e = c.Target.Write(m.name, in.name[:min(m.nameSize, in.nameLen, maxAddress)])
	}
	if e == 0 && m.name != 0 {
		e = c.putUint32(m.nameSizeAt(), in.nameLen)
	}
	if e != 0 {
		return e
	}
	out := outgoing{c: c, m: m, room: int(min(m.room, maxControl)), cloexec: flags&unix.MSG_CMSG_CLOEXEC != 0}
	for control := in.control[:in.length]; ; {
		level, kind, data, rest, more := nextControl(control, 8)
		if !more {
			break
		}
		switch {
		case level == unix.SOL_SOCKET && kind == unix.SCM_RIGHTS:
			out.putRights(in.rights)
		case level == unix.SOL_SOCKET && kind == unix.SCM_PIDFD:
			out.putPidfd(data)
		case m.long == 4 && level == unix.SOL_SOCKET && (kind == unix.SCM_TIMESTAMP || kind == unix.SCM_TIMESTAMPNS) && len(data) == 16:
			// struct timeval or timespec, with numbers of the type long
			copy(data[4:8], data[8:12])
			out.put(level, kind, data[:8])
		default:
			out.put(level, kind, data)
		}
		control = rest
	}
	received := uint32(in.flags)&^(unix.MSG_CMSG_CLOEXEC|unix.MSG_CTRUNC) | flags&unix.MSG_CMSG_CLOEXEC
	if out.truncated {
		received |= unix.MSG_CTRUNC
	}
	if e := c.Target.Write(m.control, out.b[:out.used]); e != 0 {
		return e
	}
	if e := c.putUint32(m.flagsAt(), received); e != 0 {
		return e
	}
	return c.putLong(m, m.roomAt(), uint64(out.used))
}

// outgoing are the control messages for the caller, in its layout.
type outgoing struct {
	c         *Call
	m         *message
	b         [maxControl]byte
	used      int
	room      int  // of the caller
	truncated bool // MSG_CTRUNC
	cloexec   bool // MSG_CMSG_CLOEXEC
}

// put adds a control message, or as much of it as there is room for, as the kernel's put_cmsg does.
func (o *outgoing) put(level, kind int32, data []byte) {
	long := o.m.long
	header := controlHeader(long)
	if o.room-o.used < header {
		o.truncated = true
		return
	}
	fits := min(len(data), o.room-o.used-header)
	o.truncated = o.truncated || fits < len(data)
	b := o.b[o.used:]
	putControlHeader(b, fits, level, kind, long)
	copy(b[header:], data[:fits])
	o.used += min(controlSpace(fits, long), o.room-o.used)
}

// putRights gives the caller descriptors, as many as there is room for.
func (o *outgoing) putRights(fds []byte) {
	if len(fds) == 0 {
		return
	}
	room := max(0, o.room-o.used-controlHeader(o.m.long)) / 4
	var numbers [4 * maxRights]byte
	n := 0
	for ; n < room && 4*n < len(fds); n++ {
		fd, e := o.c.Listener.AddFD(descriptor(fds[4*n:]), o.cloexec)
		if e != 0 {
			break
		}
		binary.NativeEndian.PutUint32(numbers[4*n:], uint32(fd))
	}
	o.truncated = o.truncated || 4*n < len(fds)
	if n > 0 {
		o.put(unix.SOL_SOCKET, unix.SCM_RIGHTS, numbers[:4*n])
	}
}

// putPidfd gives the caller a pidfd, if there is room for it, or the error in its place.
func (o *outgoing) putPidfd(data []byte) {
	if o.room-o.used < controlHeader(o.m.long)+4 {
		o.truncated = true
		return
	}
	fd := descriptor(data)
	if fd >= 0 {
		added, e := o.c.Listener.AddFD(fd, true)
		if fd = added; e != 0 {
			fd = -int(e)
		}
	}
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(int32(fd)))
	o.put(unix.SOL_SOCKET, unix.SCM_PIDFD, b[:])
}
