package statistics

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
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

const (
	// patience is for a peer that does not run: one that has ended closes the connection at once, and
	// a busy machine may need seconds for a live one.
	patience    = 10 * time.Second
	acceptAgain = 100 * time.Millisecond
)

// addresses returns the addresses at which keepers serve counters.
func addresses() ([]string, error) {
	list, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil, err
	}
	var found []string
	for line := range strings.Lines(string(list)) {
		fields := strings.Fields(line)
		if len(fields) == 8 && strings.HasPrefix(fields[7], prefix) {
			found = append(found, fields[7])
		}
	}
	return found, nil
}

// OpenAll opens the counters of all containers of the caller, or if that is root, of all. The caller
// must close the readers.
func OpenAll() ([]*Reader, error) { return openWith(prefix) }

// Open opens the counters of the container whose keeper has the process id pid. The caller must
// close the reader. The error is ErrNoCounters if there is none.
func Open(pid int) (*Reader, error) {
	list, err := openWith(prefix + strconv.Itoa(pid) + "/")
	if err != nil {
		return nil, err
	}
	var found *Reader
	for _, r := range list {
		if found == nil && r.Keeper == pid {
			found = r
		} else {
			r.Close()
		}
	}
	if found == nil {
		return nil, ErrNoCounters
	}
	return found, nil
}

// openWith opens the counters at the addresses that begin with start.
func openWith(start string) ([]*Reader, error) {
	names, err := addresses()
	if err != nil {
		return nil, err
	}
	var list []*Reader
	for _, name := range names {
		if !strings.HasPrefix(name, start) {
			continue
		}
		if r, err := dial(name); err == nil { // it may have just ended, or belong to another user
			list = append(list, r)
		}
	}
	return list, nil
}

// dial opens the counters at an address.
func dial(address string) (*Reader, error) {
	c, err := net.DialUnix(network, nil, &net.UnixAddr{Net: network, Name: address})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	peer, err := fdpass.Peer(c)
	if err != nil {
		return nil, err
	}
	if uid := os.Geteuid(); uid != 0 && int(peer.Uid) != uid {
		return nil, fmt.Errorf("%s: %w", address, unix.EPERM)
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	b := make([]byte, 64<<10)
	n, m, err := fdpass.Read(c, b)
	if err != nil {
		return nil, err
	}
	defer fdpass.Close(m.FDs)
	var d Description
	if err := json.Unmarshal(b[:n], &d); err != nil {
		return nil, err
	}
	if len(m.FDs) != 1 {
		return nil, ErrNoCounters
	}
	r, err := open(m.FDs[0])
	if err != nil {
		return nil, err
	}
	r.Keeper, r.Description = int(peer.Pid), d
	return r, nil
}
