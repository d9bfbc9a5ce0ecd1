package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/identity"
)

// conn carries messages between the processes of the supervisor. Its socket is
// of type SOCK_SEQPACKET: one packet is one message.
type conn struct{ *net.UnixConn }

// message is a request to take on a listener, or the answer to one. The first
// one to a process tells it the Config; a keeper may get that together with the
// user namespace alone, before there is a listener.
type message struct {
	Config *Config `json:",omitempty"`
	// Index is the number of the listener, which says where its journal is.
	Index int
	// Fresh tells that the listener is a new one, of a program that is to be User.
	Fresh bool           `json:",omitempty"`
	User  *identity.User `json:",omitempty"`
	// Started is the process that executes the program already; 0: none yet.
	Started int `json:",omitempty"`
	// Adopt tells a new keeper that the sender is a worker whose keeper has died,
	// and on how many requests with its listeners will follow.
	Adopt int `json:",omitempty"`
	// Error is the reason why a request could not be met; empty for success.
	Error string `json:",omitempty"`
}

// The descriptors that go with a request, in this order: a listener, and what
// must be known of the process that it belongs to.
const (
	fdListener = iota
	fdUserNS
	fdMountNS
	fdRoot
	requestFDs
)

// The descriptors that go with Adopt.
const (
	fdJournal = iota
	fdUseless
	adoptFDs
)

// maxMessage is more than the size of any message.
const maxMessage = 64 << 10

// socketpair returns two connected sockets: one for this process, and one to be
// inherited by another.
func socketpair() (conn, *os.File, error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return conn{}, nil, os.NewSyscallError("socketpair", err)
	}
	theirs := os.NewFile(uintptr(p[1]), "supervisor socket")
	ours, err := inherited(p[0])
	if err != nil {
		theirs.Close()
	}
	return ours, theirs, err
}

// inherited makes a conn of the descriptor fd, which it takes over.
func inherited(fd int) (conn, error) {
	f := os.NewFile(uintptr(fd), "supervisor socket")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return conn{}, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return conn{}, fmt.Errorf("descriptor %d is not a unix socket", fd)
	}
	return conn{u}, nil
}

func (c conn) send(m message, fds ...int) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	_, _, err = c.WriteMsgUnix(b, oob, nil)
	return err
}

// receive returns the next message and the descriptors that came with it. The
// error wraps io.EOF when the other side has closed the socket.
func (c conn) receive() (m message, fds []int, err error) {
	b := make([]byte, maxMessage)
	oob := make([]byte, unix.CmsgSpace(4*requestFDs))
	n, oobn, flags, _, err := c.ReadMsgUnix(b, oob)
	// Also with an error: an empty packet counts as io.EOF, and may have descriptors.
	fds, e := rights(oob[:oobn])
	if err == nil {
		err = e
	}
	if err != nil {
		closeAll(fds)
		return message{}, nil, err
	}
	if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		err = errors.New("message truncated")
	} else {
		err = json.Unmarshal(b[:n], &m)
	}
	if err != nil {
		closeAll(fds)
		return message{}, nil, err
	}
	return m, fds, nil
}

// rights returns the descriptors in control messages.
func rights(oob []byte) (fds []int, err error) {
	scms, err := unix.ParseSocketControlMessage(oob)
	for i := range scms {
		got, e := unix.ParseUnixRights(&scms[i])
		if e != nil {
			err = e
		}
		fds = append(fds, got...)
	}
	return fds, err
}

// request sends m and waits for the answer.
func (c conn) request(m message, fds ...int) error {
	if err := c.send(m, fds...); err != nil {
		return err
	}
	return c.awaitAnswer()
}

// awaitAnswer waits for the answer to a message.
func (c conn) awaitAnswer() error {
	answer, fds, err := c.receive()
	closeAll(fds)
	if err != nil {
		return err
	}
	if answer.Error != "" {
		return errors.New(answer.Error)
	}
	return nil
}

// waitHangup waits until the other side has closed the socket.
func (c conn) waitHangup() error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var fd int
	if err := raw.Control(func(p uintptr) { fd, err = unix.FcntlInt(p, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	fds := []unix.PollFd{{Fd: int32(fd)}}
	for {
		if _, err := unix.Poll(fds, -1); err != unix.EINTR {
			return err
		}
	}
}

// answer tells the other side how its request went.
func (c conn) answer(err error) error {
	var m message
	if err != nil {
		m.Error = err.Error()
	}
	return c.send(m)
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
