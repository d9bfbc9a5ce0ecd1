package statistics

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// A keeper serves the counters at an abstract address of unix(7), which leaves nothing behind, and
// which /proc/net/unix lists. Its files in /proc would show more than the counters.

// prefix begins these addresses. The process id and something unique follow, because another keeper
// may have that id in another PID namespace.
const prefix = "@subuidless/counters/"

// Description is what a keeper says of its container.
type Description struct {
	ID         string   // that of the supervisor's configuration
	Namespaces []uint64 // inode numbers of the container's user namespaces
}

// network is SOCK_SEQPACKET.
const network = "unixpacket"

// Serve serves the counters at the end of a memfd, as long as the process lives, to those that mayRead
// allows.
func Serve(memfd *os.File, describe func() Description) error {
	file, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", memfd.Fd())) // read-only
	if err != nil {
		return err
	}
	address := &net.UnixAddr{Net: network, Name: fmt.Sprintf("%s%d/%x", prefix, os.Getpid(), time.Now().UnixNano())}
	l, err := net.ListenUnix(network, address)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	go func() {
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				time.Sleep(acceptAgain) // too many files, for example
				continue
			}
			// A client that has gone, or does not read: nobody misses the answer.
			_ = c.SetWriteDeadline(time.Now().Add(patience))
			if peer, err := fdpass.Peer(c); err == nil && mayRead(peer) {
				if b, err := json.Marshal(describe()); err == nil {
					_ = fdpass.Write(c, b, int(file.Fd()))
				}
			}
			c.Close()
		}
	}()
	return nil
}

// mayRead reports whether a process may see the counters, and with them the journal: one of the
// caller's user, but not in a container, or one of the host's root.
func mayRead(peer *unix.Ucred) bool {
	if int(peer.Uid) != os.Geteuid() {
		return peer.Uid == 0
	}
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", peer.Pid))
	if err != nil {
		return false
	}
	defer ns.Close()
	same, err := userns.IsOwn(int(ns.Fd()))
	return err == nil && same
}

// patience is for a peer that does not run: one that has ended closes the connection at once, and a busy
// machine may need seconds for a live one. A test has less.
var patience = 10 * time.Second

const acceptAgain = 100 * time.Millisecond
