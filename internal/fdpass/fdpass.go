package fdpass

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// MaxFDs is the maximum number of descriptors in one message: SCM_MAX_FD of the kernel.
const MaxFDs = 253

// ErrLost is the error of a message that was received without all of its descriptors.
var ErrLost = errors.New("descriptors of the message were lost (MSG_CTRUNC): too many were sent, or the limit on open files is too low (ulimit -n)")

// Message is the control data of a received message.
type Message struct {
	// FDs are the descriptors, in the order in which they were sent. They are
	// close-on-exec, and the caller owns them.
	FDs []int
	// Sender is the sender's process id in the receiver's PID namespace; 0 if the socket
	// does not have SO_PASSCRED.
	Sender int
}

// Pair returns two connected sockets of type SOCK_SEQPACKET, which preserves the boundaries of
// messages. Both are close-on-exec. The error is that of socketpair(2).
func Pair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "socket"), os.NewFile(uintptr(fds[1]), "socket"), nil
}

// PeerGone reports whether err, of sending or receiving, means that the other end has been closed.
func PeerGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE)
}

// Conn returns a connection that uses a duplicate of the socket f, and closes f in any case. It
// is an error if f is not a Unix socket.
func Conn(f *os.File) (*net.UnixConn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("%s is not a Unix socket", f.Name())
	}
	return u, nil
}

// Send sends b with duplicates of fds, at most MaxFDs, on socket. The error is that of
// sendmsg(2): EPIPE, without the signal SIGPIPE, if the peer has closed its end.
func Send(socket *os.File, b []byte, fds ...int) error {
	return send(int(socket.Fd()), 0, b, fds)
}

// TrySend is Send for the descriptor socket. It does not wait: the error is EAGAIN if the
// socket is full.
func TrySend(socket int, b []byte, fds ...int) error {
	return send(socket, unix.MSG_DONTWAIT, b, fds)
}

func send(socket, flags int, b []byte, fds []int) error {
	for {
		err := unix.Sendmsg(socket, b, rights(fds), nil, flags|unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return os.NewSyscallError("sendmsg", err)
		}
	}
}

// Receive receives a message into b, and returns its length n in bytes. The error is io.EOF if
// the peer has closed its end, ErrLost, or that of recvmsg(2); or it says that the message is
// longer than b. After an error, no received descriptor is left open.
func Receive(socket *os.File, b []byte) (n int, m Message, err error) {
	return receive(int(socket.Fd()), 0, b)
}

// TryReceive is Receive for the descriptor socket. It does not wait: the error is EAGAIN if
// there is no message.
func TryReceive(socket int, b []byte) (n int, m Message, err error) {
	return receive(socket, unix.MSG_DONTWAIT, b)
}

func receive(socket, options int, b []byte) (n int, m Message, err error) {
	oob := make([]byte, controlSize)
	for {
		n, oobn, flags, _, err := unix.Recvmsg(socket, b, oob, options|unix.MSG_CMSG_CLOEXEC)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, Message{}, os.NewSyscallError("recvmsg", err)
		}
		m, err = parse(oob[:oobn], flags)
		if err == nil && n == 0 && len(m.FDs) == 0 {
			err = io.EOF
		}
		return n, m, err
	}
}

// Write is Send on a connection. It returns the error of net.UnixConn.WriteMsgUnix.
func Write(c *net.UnixConn, b []byte, fds ...int) error {
	_, _, err := c.WriteMsgUnix(b, rights(fds), nil)
	return err
}

// Read is Receive on a connection, with the connection's deadline. On a stream socket, it
// returns the bytes that have arrived, up to len(b), with the descriptors that were sent with
// them.
func Read(c *net.UnixConn, b []byte) (n int, m Message, err error) {
	oob := make([]byte, controlSize)
	n, oobn, flags, _, err := c.ReadMsgUnix(b, oob) // sets MSG_CMSG_CLOEXEC
	// net returns io.EOF for an empty packet, too, which may have descriptors.
	m, perr := parse(oob[:oobn], flags)
	switch {
	case errors.Is(err, io.EOF):
		err = io.EOF // net wraps it
	case err == nil:
		err = perr
	}
	if err != nil {
		Close(m.FDs)
		m.FDs = nil
	}
	return n, m, err
}

// Peer returns the credentials of the process that connected to c, or that listens on the
// socket to which c has been connected, as the calling process's namespaces show them: unix(7),
// SO_PEERCRED. The error is that of getsockopt(2).
func Peer(c *net.UnixConn) (*unix.Ucred, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var peer *unix.Ucred
	var inner error
	err = raw.Control(func(fd uintptr) { peer, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err == nil {
		err = os.NewSyscallError("getsockopt(SO_PEERCRED)", inner)
	}
	return peer, err
}

// Close closes received descriptors. It ignores errors: the descriptors have nothing to flush,
// and close(2) frees them whatever it returns.
func Close(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// controlSize is the maximum size of a message's control data in bytes.
var controlSize = unix.CmsgSpace(4*MaxFDs) + unix.CmsgSpace(unix.SizeofUcred)

func rights(fds []int) []byte {
	if len(fds) == 0 {
		return nil
	}
	return unix.UnixRights(fds...)
}

// parse returns the content of control messages. After an error, no descriptor is left open.
func parse(oob []byte, flags int) (m Message, err error) {
	defer func() {
		if err != nil {
			Close(m.FDs)
			m = Message{}
		}
	}()
	controls, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return m, fmt.Errorf("parsing the control messages: %w", err)
	}
	for i := range controls {
		c := &controls[i]
		switch {
		case c.Header.Level != unix.SOL_SOCKET:
		case c.Header.Type == unix.SCM_RIGHTS:
			fds, err := unix.ParseUnixRights(c)
			if err != nil {
				return m, fmt.Errorf("parsing SCM_RIGHTS: %w", err)
			}
			m.FDs = append(m.FDs, fds...)
		case c.Header.Type == unix.SCM_CREDENTIALS:
			sender, err := unix.ParseUnixCredentials(c)
			if err != nil {
				return m, fmt.Errorf("parsing SCM_CREDENTIALS: %w", err)
			}
			m.Sender = int(sender.Pid)
		}
	}
	if flags&unix.MSG_CTRUNC != 0 {
		return m, ErrLost
	}
	if flags&unix.MSG_TRUNC != 0 {
		return m, errors.New("the message was truncated: it is longer than the buffer")
	}
	return m, nil
}
