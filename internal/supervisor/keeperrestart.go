package supervisor

import (
	"log/slog"
	"time"
)

// A worker whose keeper has been killed starts a new keeper, as a keeper starts a new
// worker. If both die at the same time, the witness does it.

// living returns the listeners whose filters still apply to a task. The caller holds w.mu.
func (w *worker) living() listenerSet {
	var all listenerSet
	for i, l := range w.listeners {
		if l != nil {
			all[i] = l.fds
		}
	}
	return all.living()
}

// serving reports whether any task is left that needs the worker.
func (w *worker) serving() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	living := w.living()
	return living.any() != nil
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
	pid, err := startKeeper(w.cfg, theirs, w.log, w.witness, w.standby)
	theirs.Close() // otherwise, the death of the new keeper would go unnoticed
	if err != nil {
		ours.Close()
		return err
	}
	go awaitExit(pid, KeeperName, w.cfg.ID)
	w.mu.Lock()
	living := w.living()
	err = ours.handOver(message{Config: &w.cfg}, []int{workerJournal, 0, workerMapsOut, workerMapsIn}, &living)
	w.mu.Unlock()
	if err != nil {
		ours.Close()
		return err
	}
	w.keeper = ours
	return nil
}

// adopt takes over from a dead keeper: the worker, at c, has sent m and fds; or the witness,
// if the worker is dead, too.
func (k *keeper) adopt(c conn, m message, fds []int) error {
	if len(fds) != adoptFDs {
		return errDescriptors(len(fds), adoptFDs)
	}
	k.setFiles(fds[fdJournal], fds[fdDecoy])
	k.maps = mapStore{fds[fdMapsOut], fds[fdMapsIn]}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.report(message{Config: &k.cfg}, fds...)
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
		k.attend(next.Index, fds)
		err = c.answer(k.keepNamespaces(fds))
	}
	for i, fds := range k.listeners { // some may have hung up while there was no keeper
		if fds == nil {
			k.endUndertaker(i)
		}
		k.report(message{Index: i}, fds...)
	}
	k.worker = c
	if !m.Orphaned {
		go k.restartWorker(c, 0)
		return err
	}
	c.Close() // until there is a worker, requests to it fail
	go func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.replaceWorker("unknown")
	}()
	return err
}
