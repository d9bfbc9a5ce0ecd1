package supervisor

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
)

// A session is a container whose keeper holds the namespaces of its first process, so that
// further processes can be started in them at any time, and that lingers for a while when no
// task is left.

// Session is the configuration of a session.
type Session struct {
	// Linger is how long the session stays when no task is left.
	Linger time.Duration
	// Started is when the session has started.
	Started time.Time
	// Log is the absolute path of the file for the supervisor's log.
	Log string
	// Lock is the absolute path of a file that the keeper locks with flock(2) before it
	// ends the session by itself: whoever holds that lock can rely on the answer of
	// Enter until it releases it.
	Lock string
}

// Status is what the keeper says of a session.
type Status struct {
	Config    Config
	Listeners int           // commands that have tasks left
	Idle      time.Duration // how long no task has been left
	// Keeper is the keeper's process id as the caller of Enter sees it.
	Keeper int `json:"-"`
}

// session is the keeper's part of a session. Its fields are not used in other containers.
type session struct {
	home      []int       // descriptors of the namespaces: see requestFDs; the listener is -1
	entries   int         // connections that have entered
	idleSince time.Time   // when the last listener has hung up
	timer     *time.Timer // runs lingered; nil: none
}

// errEnded answers requests that come too late.
var errEnded = errors.New("the container has just ended")

// Entry is a connection to the keeper of a session. The session does not end while it is
// open.
type Entry struct {
	Status
	UserNS  *os.File
	MountNS *os.File
	conn    conn
}

// Enter asks the keeper of the session cfg.ID for its namespaces. The caller must close the
// entry. The error is ErrNoKeeper if none listens, or a *Silent. It is an error if another user's
// process does.
func Enter(cfg Config) (*Entry, error) {
	c, err := dial(cfg)
	if err != nil {
		return nil, err
	}
	peer, err := fdpass.Peer(c.UnixConn)
	if err == nil && int(peer.Uid) != os.Geteuid() {
		err = fmt.Errorf("a process of uid %d listens as the supervisor of %s", peer.Uid, cfg.ID)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	e := &Entry{conn: c}
	if err := e.receive(cfg.ID); err != nil {
		c.Close()
		if fdpass.PeerGone(err) {
			return nil, ErrNoKeeper // it was killed just now
		}
		return nil, fmt.Errorf("cannot enter %s: %w", cfg.ID, err)
	}
	e.Keeper = int(peer.Pid)
	return e, nil
}

// receive requests and receives the namespaces of a session.
func (e *Entry) receive(id string) error {
	if err := e.conn.send(message{Request: requestEnter}); err != nil {
		return err
	}
	m, fds, err := e.conn.receiveFrom(id)
	switch {
	case err != nil:
		return err
	case m.Error != "":
		return errors.New(m.Error)
	case m.Status == nil || len(fds) != requestFDs-1:
		fdpass.Close(fds)
		return errDescriptors(len(fds), requestFDs-1)
	}
	e.Status = *m.Status
	e.UserNS, e.MountNS = os.NewFile(uintptr(fds[fdUserNS-1]), "user namespace"), os.NewFile(uintptr(fds[fdMountNS-1]), "mount namespace")
	fdpass.Close(fds[fdRoot-1:])
	return nil
}

// Join passes a process in the session's namespaces to the keeper: see the function Join.
func (e *Entry) Join(p Process) error {
	fds, err := openRequest(p)
	if err != nil {
		return err
	}
	defer fdpass.Close(fds[1:])
	err = e.conn.requestOf(e.Config.ID, message{User: p.User}, fds...)
	if fdpass.PeerGone(err) { // and another keeper takes its place, if the session has tasks
		return Join(e.Config, p)
	}
	if err != nil {
		return fmt.Errorf("cannot pass process %d to the supervisor of %s: %w", p.Pid, e.Config.ID, err)
	}
	return nil
}

// End ends the session. It is an error if a task is left.
func (e *Entry) End() error { return e.conn.requestOf(e.Config.ID, message{Request: requestEnd}) }

// Close closes the connection and the namespaces.
func (e *Entry) Close() {
	e.conn.Close()
	e.UserNS.Close()
	e.MountNS.Close()
}

// namespaces returns the descriptors of the container's namespaces, in the places of
// requestFDs, or nil if no task is left and it is not a session. The caller holds k.mu.
func (k *keeper) namespaces() []int {
	if first := k.listeners.any(); first != nil {
		return first
	}
	return k.session.home
}

// keepNamespaces keeps the namespaces of the first listener of a session, which came with
// the descriptors fds. The caller holds k.mu.
func (k *keeper) keepNamespaces(fds []int) error {
	if k.cfg.Session == nil || k.session.home != nil {
		return nil
	}
	own, err := duplicate(fds[fdListener+1:])
	if err != nil {
		return err
	}
	k.session.home = append([]int{fdListener: -1}, own...)
	return nil
}

// enter answers requestEnter, and sets *entered on success.
func (k *keeper) enter(c conn, entered *bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended || k.session.home == nil {
		return c.answer(errEnded)
	}
	status := Status{Config: k.cfg}
	for _, fds := range k.listeners {
		if fds != nil {
			status.Listeners++
		}
	}
	if status.Listeners == 0 {
		status.Idle = time.Since(k.session.idleSince)
	}
	if !*entered {
		*entered = true
		k.session.entries++
	}
	return c.send(message{Status: &status}, k.session.home[fdListener+1:]...)
}

// leave is called when a connection that has entered has ended.
func (k *keeper) leave() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.session.entries--
	k.endIfUnused()
}

// linger ends the session after its time, unless a process is started in it meanwhile. If its
// directory is gone, nobody can do that. The caller holds k.mu.
func (k *keeper) linger() {
	if !k.ownsDirectory() {
		k.end()
		return
	}
	if k.session.timer != nil {
		k.session.timer.Stop()
	}
	k.session.timer = time.AfterFunc(k.cfg.Session.Linger-time.Since(k.session.idleSince), k.lingered)
}

// lockRetry is how long the keeper waits for whoever holds Session.Lock.
const lockRetry = 100 * time.Millisecond

// lingered ends the session if it is still unused.
func (k *keeper) lingered() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended || k.listeners.any() != nil || k.session.entries > 0 || time.Since(k.session.idleSince) < k.cfg.Session.Linger {
		return // the end of that use starts another timer
	}
	lock, err := os.OpenFile(k.cfg.Session.Lock, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err == nil {
		defer lock.Close()
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	switch {
	case err == unix.EWOULDBLOCK:
		k.session.timer = time.AfterFunc(lockRetry, k.lingered)
		return
	case err != nil && !errors.Is(err, os.ErrNotExist):
		slog.Warn("cannot lock the sessions", "session", k.cfg.ID, "err", err)
	}
	if k.ownsDirectory() {
		if err := os.RemoveAll(k.cfg.SocketDir); err != nil {
			slog.Warn("cannot remove the session's directory", "session", k.cfg.ID, "err", err)
		}
	}
	k.end() // the process exits
}

// endSession answers requestEnd, and ends the session if no task is left.
func (k *keeper) endSession(c conn) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.ended:
		return c.answer(errEnded)
	case k.cfg.Session == nil:
		return c.answer(errors.New("it is not a session, and ends with its last task"))
	case k.listeners.any() != nil:
		return c.answer(errors.New("tasks of the session are still running"))
	}
	err := c.answer(nil) // before the process exits
	k.end()
	return err
}
