package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/identity"
)

// conn carries messages between the processes of the supervisor. Its socket has type
// SOCK_SEQPACKET, so that each packet is one message.
type conn struct{ *net.UnixConn }

// message is a request to supervise a listener, whose descriptors come with it, or the
// answer to a request.
type message struct {
	// Config is the configuration, in the first message to a process. A keeper may
	// receive it with the descriptor of the user namespace only, before there is a
	// listener.
	Config *Config `json:",omitempty"`
	// Index is the index of the listener, which selects its slots in the journal.
	Index int
	// Fresh means that a new listener will follow, and that its program gets the identity of
	// User, or, if that is nil, the ids that the runtime sets.
	Fresh bool           `json:",omitempty"`
	User  *identity.User `json:",omitempty"`
	// RunningPID is the process that executes the program already; 0: none yet.
	RunningPID int `json:",omitempty"`
	// Adopt, if not 0, means that the sender is a worker whose keeper has died, or, with
	// Orphaned, the witness after the death of both. It is the number of requests that
	// will follow, one for each listener.
	Adopt    int  `json:",omitempty"`
	Orphaned bool `json:",omitempty"`
	// Request says what a connection to the keeper's socket asks for.
	Request string `json:",omitempty"`
	// Witness tells the worker that the process at the descriptor's other end is the witness now.
	Witness bool `json:",omitempty"`
	// Standby tells the worker or the witness that the process at the descriptor's other end is the
	// standby now.
	Standby bool `json:",omitempty"`
	// Status is the answer to requestEnter.
	Status *Status `json:",omitempty"`
	// Error says why a request has failed; it is empty for success.
	Error string `json:",omitempty"`
}

// The values of message.Request.
const (
	requestListener = ""      // supervise a further listener
	requestEnter    = "enter" // send the namespaces, and stay until the connection ends
	requestEnd      = "end"   // end the session, in which no task is left
	requestWatch    = "watch" // be the witness, at the other end of this connection
)

// The descriptors that accompany a request, in this order: a listener, and for the
// process of its filter, the user and mount namespaces and the root directory.
const (
	fdListener = iota
	fdUserNS
	fdMountNS
	fdRoot
	requestFDs
)

// The descriptors that accompany a message with Adopt, in this order.
const (
	fdJournal = iota
	fdDecoy
	fdMapsOut
	fdMapsIn
	adoptFDs
)

// maxMessage exceeds the size of every message.
const maxMessage = 64 << 10

// buffers are those of messages. A process that starts keepers again and again receives many, and the
// garbage would take more memory than everything else that it has.
var buffers = sync.Pool{New: func() any { return new([maxMessage]byte) }}

// socketpair returns two connected sockets: one for this process, and one that another
// process will inherit.
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

// inherited returns a conn for the descriptor fd, which it closes on an error. The error
// says that fd is not a socket.
func inherited(fd int) (conn, error) {
	c, err := fdpass.Conn(os.NewFile(uintptr(fd), "supervisor socket"))
	return conn{c}, err
}

// inheritedAlso is inherited for a descriptor that stays open, because others inherit it, too.
func inheritedAlso(fd int) (conn, error) {
	own, err := duplicate([]int{fd})
	if err != nil {
		return conn{}, err
	}
	return inherited(own[0])
}

// duplicate returns duplicates of descriptors.
func duplicate(fds []int) ([]int, error) {
	var own []int
	for _, fd := range fds {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			fdpass.Close(own)
			return nil, fmt.Errorf("cannot duplicate a descriptor: %w", err)
		}
		own = append(own, dup)
	}
	return own, nil
}

// send sends m with duplicates of the descriptors fds.
func (c conn) send(m message, fds ...int) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return fdpass.Write(c.UnixConn, b, fds...)
}

// receive returns the next message and its descriptors. The error wraps io.EOF if the
// other side has closed its socket.
func (c conn) receive() (m message, fds []int, err error) {
	b := buffers.Get().(*[maxMessage]byte)
	defer buffers.Put(b)
	n, control, err := fdpass.Read(c.UnixConn, b[:])
	if err != nil {
		return message{}, nil, err
	}
	if len(control.FDs) > max(requestFDs, adoptFDs) {
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

// request sends m with the descriptors fds, waits for the answer, and returns its error.
func (c conn) request(m message, fds ...int) error {
	if err := c.send(m, fds...); err != nil {
		return err
	}
	return c.awaitAnswer()
}

// awaitAnswer waits for the answer to a message, and returns its error.
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

// waitHangup waits until the other side has closed its socket, but not longer than limit. It
// reports whether that has happened.
func (c conn) waitHangup(limit time.Duration) (gone bool, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return false, err
	}
	var fd int
	if err := raw.Control(func(p uintptr) { fd, err = unix.FcntlInt(p, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return false, err
	}
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	fds := []unix.PollFd{{Fd: int32(fd)}}
	for {
		if n, err := unix.Poll(fds, int(limit.Milliseconds())); err != unix.EINTR {
			return n > 0, err
		}
	}
}

// answer answers a request; err is nil for success.
func (c conn) answer(err error) error {
	var m message
	if err != nil {
		m.Error = err.Error()
	}
	return c.send(m)
}
