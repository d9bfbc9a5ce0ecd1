package identity

import (
	"log/slog"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// namespaceKey identifies a namespace in the kernel.
type namespaceKey struct {
	id       uint64
	reusable uint32 // 1: id is an inode number, before Linux 6.18: see pin
}

// keyOf returns the key of the namespace that fd refers to.
func (t *Table) keyOf(fd int) (namespaceKey, unix.Errno) {
	if !t.inodes {
		if id, e := sys.NamespaceID(fd); e == 0 {
			return namespaceKey{id: id}, 0
		}
	}
	var st unix.Statx_t
	e := sys.Statx(fd, sys.Empty, unix.AT_EMPTY_PATH, unix.STATX_INO, &st)
	return namespaceKey{st.Ino, 1}, e
}

// keyOfTask returns the key of the namespace of the task tid.
func (t *Table) keyOfTask(tid uint32) (namespaceKey, unix.Errno) {
	fd, e := t.open(tid, "ns/user", unix.O_RDONLY|unix.O_CLOEXEC)
	if e != 0 {
		return namespaceKey{}, e
	}
	defer unix.Close(fd)
	return t.keyOf(fd)
}

// minPinned is how many namespaces are pinned before unused ones are looked for.
const minPinned = 64

// pin keeps the namespace fd of the entry i alive, so that no other gets its inode number. From
// Linux 6.18 on, namespaces have numbers that are never used again, and are not pinned.
func (t *Table) pin(i uint32, fd int) unix.Errno {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return err.(unix.Errno)
	}
	t.pins[i] = dup
	t.pinned++
	return 0
}

// pinAgain pins the namespaces whose entries an earlier worker has made. It frees the entries of
// those that no task is in: their inode numbers may belong to others.
func (t *Table) pinAgain() {
	processes, err := t.numbers(".")
	if err != nil {
		slog.Error("finding the user namespaces of the container failed", "err", err)
		return
	}
	for _, pid := range processes {
		c, e := getCookie(pid)
		if e != 0 || !t.owns(c) {
			continue
		}
		fd, e := t.open(pid, "ns/user", unix.O_RDONLY|unix.O_CLOEXEC)
		if e != 0 {
			continue
		}
		if key, e := t.keyOf(fd); e == 0 {
			if i, ok := t.find(key); ok && i != 0 && t.pins[i] == 0 && (c.has(moving) || t.shared.fixed[c.state()].namespace == i) {
				t.pin(i, fd)
			}
		}
		unix.Close(fd)
	}
	var alive [maxNamespaces]bool
	for i := range t.pins {
		for n := uint32(i); n != 0 && t.pins[i] != 0; n = t.shared.namespaces[n].parent {
			alive[n] = true
		}
	}
	for i := uint32(1); i < maxNamespaces; i++ {
		if !alive[i] && t.shared.namespaces[i].reusable != 0 {
			t.forgetNamespace(i)
		}
	}
}
