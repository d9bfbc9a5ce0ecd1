package identity

import (
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// collect frees the indexes of states that no task has, and tells whether there
// were any. The caller holds t.mu, so that no task gets a state meanwhile but by
// fork(2) and clone(2).
func (t *Table) collect() bool {
	var used [maxStates]bool
	for {
		// Where a task has vanished before it was looked at, its child may have
		// come too late for the list: then the next pass sees the child.
		vanished, err := t.mark(&used)
		if err != nil {
			slog.Error("looking for identities that no task has failed", "err", err)
			return false
		}
		if !vanished {
			break
		}
	}
	freed := false
	for i := range t.shared.marks[:t.shared.top] {
		if !used[i] && t.shared.marks[i] != 0 {
			atomic.StoreUint32(&t.shared.marks[i], 0)
			freed = true
		}
	}
	return freed
}

// mark notes the indexes that are used, and tells whether a task has vanished.
func (t *Table) mark(used *[maxStates]bool) (vanished bool, err error) {
	used[initial], used[program] = true, true
	for i := range t.shared.begun {
		if s, ok := startOf(atomic.LoadUint32(&t.shared.begun[i])); ok {
			used[s] = true
		}
	}
	processes, err := t.numbers(".")
	if err != nil {
		return false, err
	}
	for _, pid := range processes {
		c, e := getCookie(pid)
		vanished = vanished || e == unix.ESRCH
		if e != 0 || !c.valid() {
			continue // EPERM: somebody else's
		}
		used[c.state()%maxStates] = true
		if c.has(pending) {
			used[c.after()%maxStates] = true
		}
		if !c.has(perThread) {
			continue
		}
		threads, err := t.numbers(strconv.Itoa(int(pid)) + "/task")
		if err != nil {
			vanished = true
			continue
		}
		for _, tid := range threads {
			slack, e := t.slack(tid)
			vanished = vanished || e != 0
			if i, ok := stateOf(slack); ok {
				used[i] = true
			}
		}
	}
	return vanished, nil
}

// numbers lists the entries of a directory in the supervisor's /proc that are numbers.
func (t *Table) numbers(name string) ([]uint32, error) {
	fd, err := unix.Openat(t.proc, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	d := os.NewFile(uintptr(fd), name)
	defer d.Close()
	var list []uint32
	for {
		names, err := d.Readdirnames(1024)
		for _, name := range names {
			if n, err := strconv.ParseUint(name, 10, 32); err == nil {
				list = append(list, uint32(n))
			}
		}
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
