package supervisor

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
)

// mapStore keeps the files that programs write id maps to, while the worker waits for the text: as
// messages in a socket that the keeper holds, so that they outlive the worker. It implements
// handlers.MapStore.
type mapStore struct{ out, in int } // the two ends of a socket pair

// newMapStore creates an empty store.
func newMapStore() (mapStore, error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return mapStore{}, os.NewSyscallError("socketpair", err)
	}
	return mapStore{p[0], p[1]}, nil
}

// Put adds a file and its description.
func (s mapStore) Put(description []byte, fd int) error {
	if err := fdpass.TrySend(s.out, description, fd); err != nil {
		return fmt.Errorf("storing the file of an id map: %w", err)
	}
	return nil
}

// Take removes the file that has been added first. Ok is false if there is none.
func (s mapStore) Take() (description []byte, fd int, ok bool) {
	description = make([]byte, maxMessage)
	n, m, err := fdpass.TryReceive(s.in, description)
	if err != nil || len(m.FDs) != 1 {
		fdpass.Close(m.FDs)
		return nil, -1, false
	}
	return description[:n], m.FDs[0], true
}
