package oci

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// maxFDs is SCM_MAX_FD, the most descriptors that the kernel lets one message
// carry. The protocol has all of them in the first message.
const maxFDs = 253

// ancillaryReader reads the bytes of a connection, and keeps the descriptors
// that arrive with any of them.
type ancillaryReader struct {
	conn   *net.UnixConn
	fds    []int // in the order of arrival; -1 once claimed
	sender int   // process id of the sender of the first message, 0 if unknown
}

// Read implements io.Reader.
func (r *ancillaryReader) Read(p []byte) (int, error) {
	oob := make([]byte, unix.CmsgSpace(4*maxFDs)+unix.CmsgSpace(unix.SizeofUcred))
	// ReadMsgUnix sets MSG_CMSG_CLOEXEC: the descriptors must not leak into a
	// keeper that another goroutine starts.
	n, oobn, flags, _, err := r.conn.ReadMsgUnix(p, oob)
	if errors.Is(err, io.EOF) {
		return 0, io.EOF // net wraps it
	}
	if err != nil {
		return n, err
	}
	if err := r.keep(oob[:oobn]); err != nil {
		return 0, err
	}
	if flags&unix.MSG_CTRUNC != 0 {
		return 0, errors.New("descriptors of the message were lost (MSG_CTRUNC): too many were sent, or the agent's limit of open files is too low (ulimit -n)")
	}
	return n, nil
}

func (r *ancillaryReader) keep(oob []byte) error {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return fmt.Errorf("parsing the ancillary data of the message: %w", err)
	}
	for _, m := range messages {
		switch {
		case m.Header.Level != unix.SOL_SOCKET:
		case m.Header.Type == unix.SCM_RIGHTS:
			fds, err := unix.ParseUnixRights(&m)
			if err != nil {
				return fmt.Errorf("parsing the descriptors of the message: %w", err)
			}
			r.fds = append(r.fds, fds...)
		case m.Header.Type == unix.SCM_CREDENTIALS && r.sender == 0:
			cred, err := unix.ParseUnixCredentials(&m)
			if err != nil {
				return fmt.Errorf("parsing the credentials of the message: %w", err)
			}
			r.sender = int(cred.Pid)
		}
	}
	if len(r.fds) > maxFDs {
		return fmt.Errorf("more than %d descriptors came on one connection", maxFDs)
	}
	return nil
}

// claim gives descriptor i to the caller.
func (r *ancillaryReader) claim(i int) *os.File {
	f := os.NewFile(uintptr(r.fds[i]), "seccomp listener")
	r.fds[i] = -1
	return f
}

// closeUnclaimed closes the descriptors that nobody has asked for.
func (r *ancillaryReader) closeUnclaimed() {
	for _, fd := range r.fds {
		if fd >= 0 {
			// A received descriptor has nothing to flush: close frees it
			// whatever it returns.
			_ = unix.Close(fd)
		}
	}
}
