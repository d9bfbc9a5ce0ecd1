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

// observer is a process that the keeper reports to what it holds: the witness, or the standby. The
// zero value is none.
type observer struct {
	conn
	reads bool // it reads what is reported
}

// inheritedObserver returns the observer whose socket is the descriptor fd. Workers inherit it, too.
func inheritedObserver(fd int) (observer, error) {
	unix.CloseOnExec(fd) // they get a duplicate
	c, err := inheritedAlso(fd)
	return observer{c, err == nil}, err
}

// isSocket reports whether the descriptor fd is a socket.
func isSocket(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFSOCK
}

// reportTimeout limits how long the keeper waits for an observer that is stopped, and whose
// socket is full.
const reportTimeout = time.Second

// report reports to the observer, if there still is one: a message with a configuration comes
// with the files of adoptFDs; one with Standby, with the keeper's end of its socket; others set the
// descriptors of the listener m.Index, or, without descriptors, remove it.
func (o *observer) report(container string, m message, fds ...int) {
	if !o.reads {
		return
	}
	err := o.SetWriteDeadline(time.Now().Add(reportTimeout))
	if err == nil {
		err = o.send(m, fds...)
	}
	if err == nil {
		return
	}
	if !fdpass.PeerGone(err) { // it has exited
		slog.Warn("a process that watches the supervisor does not read; until it does, it will not start others if keeper and worker die together",
			"container", container, "err", err)
	}
	o.reads = false
}

// report reports to witness and standby. The caller holds k.mu, or is the only one that uses k.
func (k *keeper) report(m message, fds ...int) {
	k.witness.report(k.cfg.ID, m, fds...)
	k.standby.report(k.cfg.ID, m, fds...)
}

// reportAll reports everything to a new observer. The caller holds k.mu.
func (k *keeper) reportAll(o *observer) {
	o.report(k.cfg.ID, message{Config: &k.cfg}, int(k.journal.Fd()), int(k.decoy.Fd()), k.maps.out, k.maps.in)
	for i, fds := range k.listeners {
		if fds != nil {
			o.report(k.cfg.ID, message{Index: i}, fds...)
		}
	}
}

// reportAgain reports everything to an observer that did not read, such as one that was stopped. The
// caller holds k.mu.
func (k *keeper) reportAgain(o *observer) {
	if !o.reads {
		o.reads = true
		k.reportAll(o)
	}
}

// replaceObserver makes the process at the other end of c the observer *o, whose socket the
// descriptor fd is. The caller holds k.mu, and closes c.
func (k *keeper) replaceObserver(o *observer, fd int, c conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	e := raw.Control(func(from uintptr) { err = unix.Dup3(int(from), fd, unix.O_CLOEXEC) })
	if err = errors.Join(os.NewSyscallError("dup3", err), e); err != nil {
		return err
	}
	fresh, err := inheritedObserver(fd)
	if err != nil {
		return err
	}
	if o.UnixConn != nil {
		o.Close()
	}
	*o = fresh
	return nil
}

// passOn gives the worker the socket fd of another observer, as the message m says. The caller
// holds k.mu.
func (k *keeper) passOn(m message, fd int) error {
	err := k.worker.request(m, fd)
	if err == nil || workerDied(err) {
		return nil // the next worker inherits the socket
	}
	return fmt.Errorf("the worker does not accept another process that watches it: %w", err)
}
