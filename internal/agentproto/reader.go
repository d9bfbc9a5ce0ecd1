package agentproto

import (
	"fmt"
	"net"
	"os"

	"github.com/rootless-containers/subuidless/internal/fdpass"
)

// reader reads the bytes of a connection, and collects the descriptors that arrive with
// them.
type reader struct {
	conn   *net.UnixConn
	fds    []int // in the order of arrival; -1: claimed
	sender int   // process id of the first message's sender; 0: unknown
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
	// The protocol sends all descriptors with the first message, which holds no more.
	if len(r.fds) > fdpass.MaxFDs {
		return n, fmt.Errorf("received more than %d descriptors on one connection", fdpass.MaxFDs)
	}
	return n, nil
}

// claim returns descriptor i, which then belongs to the caller.
func (r *reader) claim(i int) *os.File {
	f := os.NewFile(uintptr(r.fds[i]), "seccomp listener")
	r.fds[i] = -1
	return f
}

// closeUnclaimed closes all descriptors that were not claimed.
func (r *reader) closeUnclaimed() {
	for _, fd := range r.fds {
		if fd >= 0 {
			fdpass.Close([]int{fd})
		}
	}
}
