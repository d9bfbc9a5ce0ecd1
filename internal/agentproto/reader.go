package agentproto

import (
	"fmt"
	"net"
	"os"

	"github.com/rootless-containers/subuidless/internal/fdpass"
)

// reader reads the bytes of a connection, and keeps the descriptors that arrive with
// any of them.
type reader struct {
	conn   *net.UnixConn
	fds    []int // in the order of arrival; -1 once claimed
	sender int   // process id of the sender of the first message, 0 if unknown
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	n, m, err := fdpass.Read(r.conn, p)
	if err != nil {
		return n, err
	}
	r.fds = append(r.fds, m.FDs...)
	if r.sender == 0 {
		r.sender = m.Sender
	}
	// The protocol has all of them in the first message.
	if len(r.fds) > fdpass.MaxFDs {
		return n, fmt.Errorf("more than %d descriptors came on one connection", fdpass.MaxFDs)
	}
	return n, nil
}

// claim gives descriptor i to the caller.
func (r *reader) claim(i int) *os.File {
	f := os.NewFile(uintptr(r.fds[i]), "seccomp listener")
	r.fds[i] = -1
	return f
}

// closeUnclaimed closes the descriptors that nobody has asked for.
func (r *reader) closeUnclaimed() {
	for _, fd := range r.fds {
		if fd >= 0 {
			fdpass.Close([]int{fd})
		}
	}
}
