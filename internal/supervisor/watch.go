package supervisor

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
)

// The witness of a container may exit, as an agent that is restarted. Another process can take its
// place: it connects to the keeper's socket, and the connection becomes the witness's socket.

// errWatched is the answer to requestWatch where the witness lives.
var errWatched = errors.New("the process that started this supervisor is still running")

// Watch makes this process the witness of the containers whose keepers listen in dir (see
// Config.SocketDir), and whose witness has exited. It returns at once; started is called for each
// such container, in any order, from other goroutines. The error is that of reading dir.
func Watch(dir string, started func(Config)) error {
	sockets, err := filepath.Glob(filepath.Join(dir, socketPrefix+"*"))
	if err != nil {
		return err
	}
	for _, socket := range sockets {
		go watch(dir, filepath.Base(socket), started)
	}
	return nil
}

// watch does that for one container, whose keeper may be about to be replaced.
func watch(dir, name string, started func(Config)) {
	var w *witness
	var err error
	for end := time.Now().Add(restartPatience); ; time.Sleep(joinEvery) {
		w, err = requestToWatch(dir, name)
		if err == nil || !keeperDied(err) || time.Now().After(end) {
			break
		}
	}
	switch {
	case err == nil:
		witnessed.add(w.cfg, 1)
		started(w.cfg)
		w.watch()
	case errors.Is(err, ErrNoKeeper) || err.Error() == errWatched.Error() || err.Error() == errEnded.Error():
	default:
		slog.Warn("cannot watch the supervisor of a container: if keeper and worker die together, emulated system calls fail with ENOSYS",
			"socket", strings.TrimPrefix(name, socketPrefix), "err", err)
	}
}

// requestToWatch asks the keeper at a socket to make this process its witness.
func requestToWatch(dir, name string) (*witness, error) {
	c, err := dialSocket(dir, name)
	if err != nil {
		return nil, err
	}
	if err = c.send(message{Request: requestWatch}); err == nil {
		var m message
		var fds []int
		w := &witness{socket: c}
		id := strings.TrimPrefix(name, socketPrefix)
		m, fds, err = c.receiveFrom(id)
		if err == nil && m.Standby {
			w.note(m, fds)
			m, fds, err = c.receiveFrom(id)
		}
		switch {
		case err != nil:
		case m.Error != "":
			err = errors.New(m.Error)
		case m.Config == nil || len(fds) != adoptFDs:
			fdpass.Close(fds)
			err = errDescriptors(len(fds), adoptFDs)
		default:
			w.cfg = *m.Config
			w.note(m, fds)
			return w, nil
		}
		w.standby.Close() // an error if it is nil
	}
	c.Close()
	return nil, err
}

// watchedBy answers requestWatch: it makes the process at the other end of c the witness. This
// process and the worker then hold duplicates of c, and pass them to those that they start.
func (k *keeper) watchedBy(c conn) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch living, err := k.witnessLives(); {
	case err != nil:
		return c.answer(err)
	case living:
		return c.answer(errWatched)
	case k.ended:
		return c.answer(errEnded)
	}
	if err := k.replaceObserver(&k.witness, keeperWitness, c); err != nil {
		return c.answer(err)
	}
	if err := k.passOn(message{Witness: true}, keeperWitness); err != nil {
		slog.Warn("this supervisor is watched only as long as the worker lives", "container", k.cfg.ID, "err", err)
	}
	if k.standby.reads { // it must not take this process for dead
		k.witness.report(k.cfg.ID, message{Standby: true}, keeperStandby)
	}
	k.reportAll(&k.witness)
	return nil
}

// witnessLives reports whether the witness has not closed its end of the socket. The caller holds
// k.mu.
func (k *keeper) witnessLives() (living bool, err error) {
	raw, err := k.witness.SyscallConn()
	if err != nil {
		return false, err
	}
	e := raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd)}}
		_, err = unix.Poll(fds, 0)
		living = fds[0].Revents&unix.POLLHUP == 0
	})
	return living, errors.Join(err, e)
}
