package statistics

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Silent is a keeper that does not answer. It is an error, too.
type Silent struct {
	ID      string `json:"id"` // of its container, as its command line says; empty: unknown
	Keeper  int    `json:"keeper"`
	Stopped bool   `json:"stopped"` // by a signal
}

// Error says what the user can do.
func (s *Silent) Error() string {
	if s.Stopped {
		return fmt.Sprintf("the supervisor of %s does not answer: a signal has stopped process %d (kill -CONT %[2]d continues it)", s.ID, s.Keeper)
	}
	return fmt.Sprintf("the supervisor of %s does not answer: process %d hangs (kill -KILL %[2]d has another one take its place)", s.ID, s.Keeper)
}

// listening are the flags of a socket in /proc/net/unix that listens. A connection that waits to be
// accepted has the same address, and others.
const listening = "00010000"

// addresses returns the addresses at which keepers serve counters.
func addresses() ([]string, error) {
	list, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil, err
	}
	var found []string
	for line := range strings.Lines(string(list)) {
		fields := strings.Fields(line)
		if len(fields) == 8 && fields[3] == listening && strings.HasPrefix(fields[7], prefix) {
			found = append(found, fields[7])
		}
	}
	return found, nil
}

// OpenAll opens the counters of all containers of the caller, or if that is root, of all. The caller
// must close the readers. Silent are the keepers that do not answer.
func OpenAll() (readers []*Reader, silent []*Silent, err error) { return openWith(prefix) }

// Open opens the counters of the container whose keeper has the process id pid. The caller must
// close the reader. The error is ErrNoCounters if there is none, or a *Silent.
func Open(pid int) (*Reader, error) {
	list, silent, err := openWith(prefix + strconv.Itoa(pid) + "/")
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
	switch {
	case found != nil:
		return found, nil
	case len(silent) > 0:
		return nil, silent[0]
	}
	return nil, ErrNoCounters
}

// openWith opens the counters at the addresses that begin with start, at the same time: so a keeper that
// does not answer costs no more time than many.
func openWith(start string) (readers []*Reader, silent []*Silent, err error) {
	names, err := addresses()
	if err != nil {
		return nil, nil, err
	}
	opened, errs := make([]*Reader, len(names)), make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		if strings.HasPrefix(name, start) {
			all.Go(func() { opened[i], errs[i] = dial(name) })
		}
	}
	all.Wait()
	for i := range names {
		var s *Silent
		if opened[i] != nil {
			readers = append(readers, opened[i])
		} else if errors.As(errs[i], &s) && s.ID != "" { // else it may have just ended, or belong to another user
			silent = append(silent, s)
		}
	}
	return readers, silent, nil
}

// dial opens the counters at an address. The error is a *Silent if the keeper does not answer.
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
	b := make([]byte, 64<<10)
	n, fds, err := receive(c, int(peer.Pid), b)
	if err != nil {
		return nil, err
	}
	defer fdpass.Close(fds)
	var d Description
	if err := json.Unmarshal(b[:n], &d); err != nil {
		return nil, err
	}
	if len(fds) != 1 {
		return nil, ErrNoCounters
	}
	r, err := open(fds[0])
	if err != nil {
		return nil, err
	}
	r.Keeper, r.Description = int(peer.Pid), d
	return r, nil
}

// lookEvery is how long a keeper may take to answer before it is looked at: whoever stopped it for an
// instant has continued it by then.
const lookEvery = 250 * time.Millisecond

// receive receives the answer of the keeper with the process id pid, 0 if that is unknown here. The
// error is a *Silent if none comes.
func receive(c *net.UnixConn, pid int, b []byte) (n int, fds []int, err error) {
	for wait := patience; ; wait -= lookEvery {
		if err := c.SetReadDeadline(time.Now().Add(min(lookEvery, wait))); err != nil {
			return 0, nil, err
		}
		n, m, err := fdpass.Read(c, b)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, m.FDs, err
		}
		if s := look(pid); s.Stopped || wait <= lookEvery {
			return 0, nil, s
		}
	}
}

// look returns what can be seen of a keeper that does not answer.
func look(pid int) *Silent {
	dir := fmt.Sprintf("/proc/%d/", pid)
	status, _ := os.ReadFile(dir + "status") // an error means that it has ended, or is not visible
	cmdline, _ := os.ReadFile(dir + "cmdline")
	s := &Silent{Keeper: pid, Stopped: strings.HasPrefix(sys.StatusField(status, "State"), "T ")}
	if args := bytes.Split(cmdline, []byte{0}); len(args) > 1 {
		s.ID = string(args[1])
	}
	return s
}
