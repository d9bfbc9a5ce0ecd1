// Package fdpass passes file descriptors over Unix sockets: unix(7), SCM_RIGHTS.
package fdpass

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// MaxFDs is SCM_MAX_FD, the most descriptors that the kernel lets one message carry.
const MaxFDs = 253

// ErrLost reports that descriptors did not arrive.
var ErrLost = errors.New("descriptors of the message were lost (MSG_CTRUNC): too many were sent, or the limit of open files is too low (ulimit -n)")

// Message is what came with the bytes of a received message.
type Message struct {
	// FDs are the descriptors, close-on-exec, in the order in which they were
	// sent. The receiver owns them.
	FDs []int
	// Sender is the sender's process id if SO_PASSCRED is set on the socket, else 0.
	Sender int
}

// Pair returns two connected sockets on which a message is received as it was sent,
// whole. Both are close-on-exec.
func Pair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "socket"), os.NewFile(uintptr(fds[1]), "socket"), nil
}

// Conn returns a connection that uses the socket f, and takes f over.
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

// Send sends b, and duplicates of fds with it, on a socket. A peer that has ended is
// the error EPIPE, and no signal.
func Send(socket *os.File, b []byte, fds ...int) error {
	for {
		err := unix.Sendmsg(int(socket.Fd()), b, rights(fds), nil, unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return os.NewSyscallError("sendmsg", err)
		}
	}
}

// Receive receives a message into b, and returns its length. The error is io.EOF if
// the peer has closed its end.
func Receive(socket *os.File, b []byte) (n int, m Message, err error) {
	oob := make([]byte, room)
	for {
		n, oobn, flags, _, err := unix.Recvmsg(int(socket.Fd()), b, oob, unix.MSG_CMSG_CLOEXEC)
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

// Write is Send on a connection.
func Write(c *net.UnixConn, b []byte, fds ...int) error {
	_, _, err := c.WriteMsgUnix(b, rights(fds), nil)
	return err
}

// Read is Receive on a connection. With a stream it returns what has arrived of the
// bytes, and the descriptors that came with these.
func Read(c *net.UnixConn, b []byte) (n int, m Message, err error) {
	oob := make([]byte, room)
	n, oobn, flags, _, err := c.ReadMsgUnix(b, oob) // sets MSG_CMSG_CLOEXEC
	// An empty packet counts as io.EOF, and may have descriptors all the same.
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

// Close closes descriptors that were received and are not wanted. They have nothing to
// flush: close(2) frees them whatever it returns.
func Close(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// room is the size of the largest control messages.
var room = unix.CmsgSpace(4*MaxFDs) + unix.CmsgSpace(unix.SizeofUcred)

func rights(fds []int) []byte {
	if len(fds) == 0 {
		return nil
	}
	return unix.UnixRights(fds...)
}

// parse returns what control messages say. After an error, no descriptor is left open.
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
		return m, errors.New("message truncated")
	}
	return m, nil
}
