package supervisor

import (
	"log/slog"
	"time"
)

// A worker whose keeper has been killed starts a new keeper, as a keeper starts a new
// worker. The container loses its supervisor only if both die at the same time.

// serving reports whether any task is left that needs the worker.
func (w *worker) serving() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.listeners {
		if l != nil && !l.hungUp() {
			return true
		}
	}
	return false
}

// replaceKeeper starts keepers until one holds everything, or until no task is left that needs
// the worker. It reports whether a keeper holds everything.
func (w *worker) replaceKeeper() bool {
	w.keeper.Close()
	for wait := time.Millisecond; w.serving(); wait = min(2*wait, time.Second) {
		slog.Warn("the keeper died; starting another", "container", w.cfg.ID)
		err := w.startKeeper()
		if err == nil {
			return true
		}
		// The container keeps running as long as this worker does.
		slog.Error("the new keeper does not work; trying again", "container", w.cfg.ID, "err", err,
			"note", "if the worker dies before there is one, emulated system calls fail with ENOSYS")
		time.Sleep(wait)
	}
	return false // a keeper exits after the last task, too
}

// startKeeper starts a new keeper, and sends it everything that it must hold.
func (w *worker) startKeeper() error {
	ours, theirs, err := socketpair()
	if err != nil {
		return err
	}
	pid, err := startKeeper(w.cfg, theirs, w.log)
	theirs.Close() // otherwise, the death of the new keeper would go unnoticed
	if err != nil {
		ours.Close()
		return err
	}
	go reap(pid)
	if err := w.handToKeeper(ours); err != nil {
		ours.Close()
		return err
	}
	w.keeper = ours
	return nil
}

// handToKeeper sends the journal, the decoy and all listeners to the new keeper at c.
func (w *worker) handToKeeper(c conn) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var living []int
	for i, l := range w.listeners {
		if l != nil && !l.hungUp() {
			living = append(living, i)
		}
	}
	if err := c.request(message{Config: &w.cfg, Adopt: len(living)}, workerJournal, 0); err != nil {
		return err
	}
	for _, i := range living {
		if err := c.request(message{Index: i}, w.listeners[i].fds...); err != nil {
			return err
		}
	}
	return nil
}

// adopt takes over the worker of a dead keeper. The worker, at c, has sent m and fds.
func (k *keeper) adopt(c conn, m message, fds []int) error {
	if len(fds) != adoptFDs {
		return errDescriptors(len(fds), adoptFDs)
	}
	k.setFiles(fds[fdJournal], fds[fdDecoy])
	k.mu.Lock()
	defer k.mu.Unlock()
	k.worker = c
	err := c.answer(nil)
	for range m.Adopt {
		if err != nil {
			return err
		}
		var next message
		if next, fds, err = c.receive(); err != nil {
			return err
		}
		if len(fds) != requestFDs || next.Index < 0 || next.Index >= maxListeners {
			return errDescriptors(len(fds), requestFDs)
		}
		k.listeners[next.Index] = fds
		go k.awaitHangup(next.Index, fds)
		err = c.answer(nil)
	}
	go k.restartWorker(c, 0)
	return err
}
