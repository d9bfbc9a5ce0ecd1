package supervisor

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/rootless-containers/subuidless/internal/userns"
)

// The standby is a second witness, for containers that outlive the first one (Config.Standby). The
// keeper starts it, reports the same to it, and starts another one if it dies.
//
// The keeper's end of the standby's socket is open in keeper, worker and witness. So the standby
// reads the end of the stream when none of them is left. It then starts a keeper and is its witness.
// It must not do that while one of the others lives, which would start a keeper, too. So it does not
// act before it has received everything, and the keeper sends that after the others have the socket.

// The descriptors of a new standby. 0 to 2 are /dev/null; in a session, 2 is its log.
const (
	standbyConn    = 3
	standbyRecords = 4
)

// StandbyMain is the main function of the standby's process. It returns the exit status.
func StandbyMain() int {
	if err := runStandby(); err != nil {
		slog.Error("the standby failed", "err", err)
		return 1
	}
	return 0
}

func runStandby() error {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err := confine(); err != nil {
		slog.Warn("the standby is not confined as far as possible", "err", err)
	}
	leaveCaller()
	c, err := inherited(standbyConn)
	if err != nil {
		return err
	}
	m, fds, err := c.receive()
	if errors.Is(err, io.EOF) {
		return nil // the keeper has been killed, and the next one starts another standby
	}
	if err != nil {
		return err
	}
	if m.Config == nil || len(fds) != adoptFDs {
		return errDescriptors(len(fds), adoptFDs)
	}
	w := &witness{cfg: *m.Config, socket: c}
	if w.cfg.HasRecords {
		w.cfg.Records = os.NewFile(standbyRecords, "records")
	}
	w.note(m, fds)
	witnessed.add(w.cfg, 1)
	w.watch()
	return nil
}

// standbyAfter is how long a container runs before it gets a standby: most commands end earlier, and
// need not pay for its start.
const standbyAfter = time.Second

// keepStandby starts a standby unless there is one, and another one whenever it dies.
func (k *keeper) keepStandby() {
	k.mu.Lock()
	c, pid := k.standby.conn, 0
	k.mu.Unlock()
	for wait := standbyAfter; ; wait = min(2*wait, time.Minute) {
		if c.UnixConn != nil {
			_, _, _ = c.receive() // until it dies: it sends nothing
			if pid != 0 {
				_, _ = userns.Wait(pid)
			}
			wait = standbyAfter
		}
		select {
		case <-k.done:
			return
		case <-time.After(wait):
		}
		var err error
		if c, pid, err = k.startStandby(); err != nil {
			slog.Warn("cannot start a process that takes over if the whole supervisor is killed in the same instant; trying again",
				"container", k.cfg.ID, "err", err)
		}
	}
}

// startStandby starts a standby, and returns its socket and its process id.
func (k *keeper) startStandby() (c conn, pid int, err error) {
	ours, theirs, err := socketpair()
	if err != nil {
		return conn{}, 0, err
	}
	defer ours.Close()
	defer theirs.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return conn{}, 0, err
	}
	defer null.Close()
	log := null
	if k.cfg.Session != nil {
		log = k.log
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		return conn{}, 0, nil
	}
	cmd := userns.Command{
		Namespace: -1,
		Continued: true,
		Path:      "/proc/self/exe",
		Args:      []string{StandbyName, k.cfg.ID},
		Env:       os.Environ(),
		Files:     []int{int(null.Fd()), int(null.Fd()), int(log.Fd()), int(theirs.Fd()), keeperRecords},
	}
	if pid, err = cmd.Start(); err != nil {
		return conn{}, 0, err
	}
	if err := k.replaceObserver(&k.standby, keeperStandby, ours); err != nil {
		ours.Close() // so it ends
		_, _ = userns.Wait(pid)
		return conn{}, 0, err
	}
	if err := k.shareStandby(); err != nil {
		k.standby.Close()
		k.standby.reads = false
		go userns.Wait(pid) // it ends when the others have closed the socket, too
		return conn{}, 0, err
	}
	k.reportAll(&k.standby)
	return k.standby.conn, pid, nil
}

// shareStandby gives worker and witness the keeper's end of the standby's socket. The caller holds
// k.mu.
func (k *keeper) shareStandby() error {
	if err := k.passOn(message{Standby: true}, keeperStandby); err != nil {
		return err
	}
	k.reportAgain(&k.witness)
	k.witness.report(k.cfg.ID, message{Standby: true}, keeperStandby)
	living, err := k.witnessLives()
	if err == nil && living && !k.witness.reads {
		err = errors.New("the process that started the supervisor does not read")
	}
	return err
}
