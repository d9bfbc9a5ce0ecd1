package supervisor

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mapStore keeps the files that programs write id maps to, while the worker waits for the text: as
// messages in a socket that the keeper holds, so that they outlive the worker. It implements
// handlers.MapStore.
type mapStore struct{ out, in int } // the two ends of a socket pair

// newMapStore creates an empty store.
func newMapStore() (mapStore, error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return mapStore{}, os.NewSyscallError("socketpair", err)
	}
	return mapStore{p[0], p[1]}, nil
}

// Put adds a file and its description.
func (s mapStore) Put(description []byte, fd int) error {
	if err := unix.Sendmsg(s.out, description, unix.UnixRights(fd), nil, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("storing the file of an id map: %w", os.NewSyscallError("sendmsg", err))
	}
	return nil
}

// Take removes the file that has been added first. Ok is false if there is none.
func (s mapStore) Take() (description []byte, fd int, ok bool) {
	description, oob := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := unix.Recvmsg(s.in, description, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil || n == 0 {
		return nil, -1, false
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		return nil, -1, false
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, -1, false
	}
	return description[:n], fds[0], true
}
