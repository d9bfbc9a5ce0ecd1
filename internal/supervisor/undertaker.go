package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/unotify"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// The undertaker is for the case that keeper, worker, witness and standby are all killed in the same
// instant: nobody then has what a new supervisor needs. It holds a duplicate of a listener, so that
// calls wait instead of failing with ENOSYS for ever, and ends the container. The keeper starts one for
// each listener.
//
// The others hold the open file description of the journal, on which the first keeper has a lock of
// flock(2). So the undertaker, which has opened the file anew, gets that lock when none of them is
// left. Until then, it is a child of the keeper's that has executed no program (userns.Dormant), which
// costs little enough to start it for every command.
//
// Its mark on the decoy, at the index of the listener, lets later keepers find it. An index is free
// again when its undertaker has ended.

// The descriptors of a new undertaker. 0 and 1 are /dev/null, as is 2, which in a session is the log.
const (
	undertakerJournal = 3 + iota
	undertakerDecoy
	undertakerListener
	undertakerUserNS
	undertakerMountNS
)

// startUndertaker starts the undertaker of the listener with the index i, whose descriptors fds are,
// unless there is one.
func (k *keeper) startUndertaker(i int, fds []int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.listeners[i] == nil || &k.listeners[i][0] != &fds[0] {
		return // it has hung up
	}
	pid, err := userns.Marked(int(k.decoy.Fd()), int64(i))
	if err == nil && pid == 0 {
		k.undertakers[i], err = k.forkUndertaker(i, fds)
	}
	if err != nil {
		slog.Warn("if the whole supervisor is killed, emulated system calls fail with ENOSYS", "container", k.cfg.ID, "err", err)
	}
}

func (k *keeper) forkUndertaker(i int, fds []int) (pid int, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	journal, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", k.journal.Fd()))
	if err != nil {
		return 0, err
	}
	defer journal.Close()
	args, log := []string{UndertakerName, k.cfg.ID}, null
	if k.cfg.Session != nil {
		args, log = append(args, undertakerOfSession), k.log
	}
	d := userns.Dormant{
		Path:  "/proc/self/exe",
		Args:  args,
		Shown: args[:2],
		Env:   os.Environ(),
		Files: []int{int(null.Fd()), int(null.Fd()), int(log.Fd()), int(journal.Fd()), int(k.decoy.Fd()),
			fds[fdListener], fds[fdUserNS], fds[fdMountNS]},
		Until: undertakerJournal,
		Mark:  undertakerDecoy,
		At:    int64(i),
	}
	pid, err = d.Start()
	if errors.Is(err, unix.EAGAIN) {
		return 0, nil // one that a keeper had forked before it was killed
	}
	return pid, err
}

// endUndertaker ends the undertaker of the index i, if there is one. The caller holds k.mu, or is the
// only one that uses k.
func (k *keeper) endUndertaker(i int) {
	mark := func() int {
		pid, err := userns.Marked(int(k.decoy.Fd()), int64(i))
		if err != nil {
			slog.Error("cannot end the process that waits for the end of the supervisor", "container", k.cfg.ID, "err", err)
		}
		return pid
	}
	if child := k.undertakers[i]; child != 0 {
		_ = unix.Kill(child, unix.SIGKILL) // nobody has waited for it: the number is its own
		_, _ = userns.Wait(child)
		k.undertakers[i] = 0
	} else if pid := mark(); pid != 0 { // of a keeper that has been killed
		sys.SignalIf(pid, unix.SIGKILL, func() bool { return mark() == pid })
	}
}

// undertakerOfSession is the last argument of the undertaker of a session.
const undertakerOfSession = "session"

// UndertakerMain is the main function of the undertaker's process, when none of the others is left. It
// returns the exit status. OfSession, if not nil, is called first if the container was a session, with
// its name and the inode number of its user namespace, while its processes still exist.
func UndertakerMain(ofSession func(name string, userNS uint64) error) int {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	users, err := userns.Inode(undertakerUserNS)
	mounts, e := userns.Inode(undertakerMountNS)
	if err = errors.Join(err, e); err != nil {
		slog.Error("cannot end the container", "err", err)
		return 1
	}
	if ofSession != nil && len(os.Args) > 2 && os.Args[2] == undertakerOfSession && !unotify.HungUp(undertakerListener) {
		if err := ofSession(os.Args[1], users); err != nil {
			slog.Error("the next command will not know which containers have ended", "session", os.Args[1], "err", err)
		}
	}
	for said := false; !unotify.HungUp(undertakerListener); {
		said = killIn(users, mounts, said)
		ctx, stop := context.WithTimeout(context.Background(), killPoll)
		KillCallers(ctx, undertakerListener)
		stop()
	}
	return 0
}

// lastWords are what a container says when it ends because nobody is left to supervise it.
const lastWords = "subuidless: all processes of this container's supervisor were killed; it ends, because nobody can answer its system calls any more\n"

// killIn kills the processes in the user namespace of a container, or in those created in it, that are
// not in the mount namespace of this process: that is where a supervisor is, also one whose keeper a
// worker has started in the user namespace. Mounts is the mount namespace of the container. Unless said
// is true, one of them says why, on its standard error; the result reports whether that has been said.
func killIn(users, mounts uint64, said bool) bool {
	own := inode("/proc/self/ns/mnt")
	entries, err := os.ReadDir("/proc")
	if err != nil || own == mounts {
		return said // those that make calls end nevertheless
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		sys.SignalIf(pid, unix.SIGKILL, func() bool {
			dir := fmt.Sprintf("/proc/%d", pid)
			if in := inode(dir + "/ns/mnt"); in == own || in == 0 || userns.Ancestor(dir, map[uint64]uint64{users: users}) != users {
				return false
			}
			said = said || say(pid, lastWords) == nil
			return true
		})
	}
	return said
}

// inode returns the inode number of a file, or 0.
func inode(path string) uint64 {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return 0
	}
	return st.Ino
}

// sayPatience is how long say waits for a pipe or terminal that is full.
const sayPatience = 100 * time.Millisecond

// say writes to the standard error of a process.
func say(pid int, text string) error {
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/2", pid), os.O_WRONLY|os.O_APPEND|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	_ = f.SetWriteDeadline(time.Now().Add(sayPatience)) // files of the disk have none, and do not block
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Close())
}

// killPoll is the interval at which KillCallers checks whether its context is done.
const killPoll = 100 * time.Millisecond

// KillCallers kills each task that makes a call of a listener, until no task is left to which the
// filter applies, or until ctx is done.
func KillCallers(ctx context.Context, listener int) {
	for ctx.Err() == nil {
		waiting, err := unotify.Poll(listener, killPoll)
		if err != nil {
			return
		}
		if !waiting {
			continue
		}
		var n unotify.Notif
		switch e := unotify.Recv(listener, &n); {
		case e == unix.EINTR, e == unix.ENOENT: // a signal interrupted the call
		case e != 0, n.PID == 0:
			return // no listener, or a process that this PID namespace lacks
		default:
			_ = unix.Kill(int(n.PID), unix.SIGKILL) // it may have ended
		}
	}
}
