package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/unotify"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// The undertaker is for the case that keeper, worker, witness and standby are all killed in the same
// instant: nobody then has what a new supervisor needs. It holds a duplicate of the listener, so that
// calls wait instead of failing with ENOSYS for ever, and ends the container.
//
// The others hold the open file description of the journal, on which the first keeper has a lock of
// flock(2). So the undertaker, which has opened the file anew, gets that lock when none of them is
// left. The standby starts it; a lock on the decoy makes sure that there is one.

// The descriptors of a new undertaker. 0 to 2 are /dev/null.
const (
	undertakerJournal = 3 + iota
	undertakerDecoy
	undertakerListener
	undertakerUserNS
	undertakerMountNS
)

// UndertakerMain is the main function of the undertaker's process. It returns the exit status.
func UndertakerMain() int {
	leaveCaller()
	if err := unix.Flock(undertakerDecoy, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return 0 // there is one already
	}
	users, err := userns.Inode(undertakerUserNS)
	mounts, e := userns.Inode(undertakerMountNS)
	if err != nil || e != nil || sys.Flock(undertakerJournal, unix.LOCK_EX) != nil {
		return 1
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

// killIn kills the processes in the user and mount namespaces of a container, which are not those of
// this process. Unless said is true, one of them says why, on its standard error; the result reports
// whether that has been said.
func killIn(users, mounts uint64, said bool) bool {
	entries, err := os.ReadDir("/proc")
	if err != nil || inode("/proc/self/ns/mnt") == mounts {
		return said // those that make calls end nevertheless
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		sys.SignalIf(pid, unix.SIGKILL, func() bool {
			dir := fmt.Sprintf("/proc/%d", pid)
			if inode(dir+"/ns/mnt") != mounts || userns.Ancestor(dir, map[uint64]uint64{users: users}) != users {
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

// startUndertaker starts the undertaker of a container whose first listener the witness holds.
func (w *witness) startUndertaker() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	files := []int{int(null.Fd()), int(null.Fd()), int(null.Fd())}
	for _, fd := range []int{w.files[fdJournal], w.files[fdDecoy]} {
		f, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", fd))
		if err != nil {
			return err
		}
		defer f.Close()
		files = append(files, int(f.Fd()))
	}
	first := w.listeners.any()
	cmd := userns.Command{
		Namespace: -1,
		Path:      "/proc/self/exe",
		Args:      []string{UndertakerName, w.cfg.ID},
		Env:       os.Environ(),
		Files:     append(files, first[fdListener], first[fdUserNS], first[fdMountNS]),
	}
	pid, err := cmd.Start()
	if err == nil {
		go userns.Wait(pid)
	}
	return err
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
