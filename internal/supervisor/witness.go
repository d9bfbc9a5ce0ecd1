package supervisor

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rootless-containers/subuidless/internal/fdpass"
)

// The process that starts a supervisor, the front or the agent, is its witness: as long as it
// lives, it holds duplicates of what the keeper holds. If keeper and worker die together, it
// starts a new keeper.
//
// The keeper's end of the witness's socket is open in keeper and worker, and is inherited by
// those that they start. So the witness reads the end of the stream when neither is left.
//
// A container that outlives its witness has a second one, the standby: see standby.go.

// witness is the state of the witness of one container. It belongs to the goroutine of watch.
type witness struct {
	cfg       Config
	socket    conn     // receives what the keeper reports
	files     []int    // see adoptFDs; nil: none yet
	standby   *os.File // the keeper's end of the standby's socket; nil: none
	listeners listenerSet
}

// witnessed are the sockets of the keepers that this process is the witness of.
var witnessed socketSet

// socketSet is a set of sockets of keepers. A container's socket can be in it twice: the last one
// may still be ending. The zero value is empty.
type socketSet struct {
	mu    sync.Mutex
	count map[string]int // guarded by mu
}

// add adds the socket of a container, or removes it if n is -1.
func (s *socketSet) add(cfg Config, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == nil {
		s.count = map[string]int{}
	}
	path := cfg.socketPath()
	if s.count[path] += n; s.count[path] == 0 {
		delete(s.count, path)
	}
}

// has reports whether the socket of a container is in the set.
func (s *socketSet) has(cfg Config) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[cfg.socketPath()] > 0
}

// watch notes what keepers report, and starts a new one when keeper and worker have died
// before the container has ended.
func (w *witness) watch() {
	defer witnessed.add(w.cfg, -1)
	for {
		m, fds, err := w.socket.receive()
		if err == nil {
			w.note(m, fds)
			continue
		}
		w.socket.Close()
		if !errors.Is(err, io.EOF) {
			slog.Error("cannot receive what the keeper reports: if keeper and worker die together, emulated system calls fail with ENOSYS",
				"container", w.cfg.ID, "err", err)
			break
		}
		if !w.restart() {
			break
		}
	}
	w.close()
}

// close closes what the witness holds.
func (w *witness) close() {
	fdpass.Close(w.files)
	for _, fds := range w.listeners {
		fdpass.Close(fds)
	}
	w.standby.Close() // an error if it is nil
}

// takenOver waits until another keeper holds the container, whose first one has been killed before
// it could answer. It returns false if that one had noted no listener yet, so that the container has
// to be handed over again.
func (w *witness) takenOver() bool {
	for keepers := 0; keepers < 2; { // each one reports its configuration
		m, fds, err := w.socket.receive()
		if err != nil {
			w.socket.Close()
			if errors.Is(err, io.EOF) && w.restart() {
				return true
			}
			w.close()
			return false
		}
		w.note(m, fds)
		if m.Config != nil {
			keepers++
		}
	}
	return true
}

// note notes a report: see keeper.report.
func (w *witness) note(m message, fds []int) {
	switch {
	case m.Config != nil:
		fdpass.Close(w.files)
		w.files = fds
		return
	case m.Standby && len(fds) == 1:
		w.standby.Close() // an error if it is nil
		w.standby = os.NewFile(uintptr(fds[0]), "standby")
		return
	}
	fdpass.Close(w.listeners[m.Index])
	w.listeners[m.Index] = fds
}

// collectEarly makes the Go runtime collect garbage at 1 MiB instead of 4 MiB. Processes that never
// start another one do not get there; to the others, the memory is worth more than the time.
var collectEarly = sync.OnceFunc(func() { debug.SetGCPercent(25) })

// restart starts keepers until one holds everything, or until no task is left that needs one.
// It reports whether a keeper holds everything.
func (w *witness) restart() bool {
	collectEarly()
	for wait := time.Millisecond; ; wait = min(2*wait, time.Second) {
		living := w.listeners.living()
		if living.any() == nil {
			return false
		}
		slog.Warn("keeper and worker died; starting others", "container", w.cfg.ID)
		err := w.startKeeper(&living)
		if err == nil {
			return true
		}
		slog.Error("the new keeper does not work; trying again", "container", w.cfg.ID, "err", err)
		time.Sleep(wait)
	}
}

// startKeeper starts a keeper, and sends it everything that it must hold.
func (w *witness) startKeeper(living *listenerSet) error {
	p, err := prepare(w.cfg, w.standby)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.conn.handOver(message{Config: &w.cfg, Orphaned: true}, w.files, living); err != nil {
		return err
	}
	p.serves = true
	w.socket = p.witness
	return nil
}
