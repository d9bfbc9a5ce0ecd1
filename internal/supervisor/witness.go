package supervisor

import (
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
)

// The process that starts a supervisor, the front or the agent, is its witness: as long as it
// lives, it holds duplicates of what the keeper holds. If keeper and worker die together, it
// starts a new keeper.
//
// The keeper's end of the witness's socket is open in keeper and worker, and is inherited by
// those that they start. So the witness reads the end of the stream when neither is left.

// witness is the state of the witness of one container. It belongs to the goroutine of watch.
type witness struct {
	cfg       Config
	socket    conn  // receives what the keeper reports
	files     []int // see adoptFDs; nil: none yet
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
	fdpass.Close(w.files)
	for _, fds := range w.listeners {
		fdpass.Close(fds)
	}
}

// note notes a report: see keeper.report.
func (w *witness) note(m message, fds []int) {
	if m.Config != nil {
		fdpass.Close(w.files)
		w.files = fds
		return
	}
	fdpass.Close(w.listeners[m.Index])
	w.listeners[m.Index] = fds
}

// restart starts keepers until one holds everything, or until no task is left that needs one.
// It reports whether a keeper holds everything.
func (w *witness) restart() bool {
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
	p, err := Prepare(w.cfg)
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

// reportTimeout limits how long the keeper waits for a witness that is stopped, and whose
// socket is full.
const reportTimeout = time.Second

// report reports to the witness, if there still is one: a message with a configuration comes
// with the files of adoptFDs; others set the descriptors of the listener m.Index, or, without
// descriptors, remove it. The caller holds k.mu, or is the only one that uses k.
func (k *keeper) report(m message, fds ...int) {
	if !k.watched {
		return
	}
	err := k.witness.SetWriteDeadline(time.Now().Add(reportTimeout))
	if err == nil {
		err = k.witness.send(m, fds...)
	}
	if err == nil {
		return
	}
	if !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) { // it has exited
		slog.Warn("the process that started the supervisor does not read; it will not start others if keeper and worker die together",
			"container", k.cfg.ID, "err", err)
	}
	k.watched = false
}
