package supervisor

import (
	"encoding/json"
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
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
	// RunningPID is the process that executes the program already; 0: none yet.
	RunningPID int `json:",omitempty"`
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
	fdDecoy
	adoptFDs
)

// maxMessage is more than the size of any message.
const maxMessage = 64 << 10

// socketpair returns two connected sockets: one for this process, and one to be
// inherited by another.
func socketpair() (conn, *os.File, error) {
	ours, theirs, err := fdpass.Pair()
	if err != nil {
		return conn{}, nil, err
	}
	c, err := fdpass.Conn(ours)
	if err != nil {
		theirs.Close()
	}
	return conn{c}, theirs, err
}

// inherited makes a conn of the descriptor fd, which it takes over.
func inherited(fd int) (conn, error) {
	c, err := fdpass.Conn(os.NewFile(uintptr(fd), "supervisor socket"))
	return conn{c}, err
}

func (c conn) send(m message, fds ...int) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return fdpass.Write(c.UnixConn, b, fds...)
}

// receive returns the next message and the descriptors that came with it. The
// error wraps io.EOF when the other side has closed the socket.
func (c conn) receive() (m message, fds []int, err error) {
	b := make([]byte, maxMessage)
	n, control, err := fdpass.Read(c.UnixConn, b)
	if err != nil {
		return message{}, nil, err
	}
	if len(control.FDs) > requestFDs {
		err = errDescriptors(len(control.FDs), requestFDs)
	} else {
		err = json.Unmarshal(b[:n], &m)
	}
	if err != nil {
		fdpass.Close(control.FDs)
		return message{}, nil, err
	}
	return m, control.FDs, nil
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
	fdpass.Close(fds)
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
