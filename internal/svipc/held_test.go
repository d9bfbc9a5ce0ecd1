package svipc

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// newDescriptor returns a descriptor that the table is to close.
func newDescriptor(t *testing.T) int {
	t.Helper()
	fd, err := unix.MemfdCreate("namespace", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func isOpen(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}

func TestHold(t *testing.T) {
	table, _ := newTables(t)
	first, second, again := newDescriptor(t), newDescriptor(t), newDescriptor(t)
	table.Hold(1, first)
	table.Hold(2, second)
	table.Hold(1, again)
	if !isOpen(first) || !isOpen(second) || isOpen(again) {
		t.Error("not one descriptor for each namespace")
	}
	kept, lost := Key{2, sys.Semaphores, 5}, Key{1, sys.Semaphores, 5}
	table.set(t, kept, 7)
	table.set(t, lost, 8)
	table.Reclaim(func(ns uint64) bool { return ns == 1 }, func(Key) bool { return false })
	table.want(t, kept, 7)
	table.wantNone(t, lost)
	if isOpen(first) || table.Holds(1) || !isOpen(second) || !table.Holds(2) {
		t.Error("not only the namespace that is gone has been released")
	}
}

// A worker takes over the records of one that has died, whose descriptors are closed.
func TestAdopt(t *testing.T) {
	old, fresh := newTables(t)
	kept, lost := Key{1, sys.SharedMemory, 5}, Key{2, sys.SharedMemory, 5}
	old.set(t, kept, 7)
	old.set(t, lost, 8)
	recorded, other := newDescriptor(t), newDescriptor(t)
	fresh.Adopt(map[uint64]int{1: recorded, 3: other})
	fresh.want(t, kept, 7)
	fresh.wantNone(t, lost)
	if !isOpen(recorded) || !fresh.Holds(1) {
		t.Error("a namespace with a record is not held")
	}
	if isOpen(other) || fresh.Holds(2) || fresh.Holds(3) {
		t.Error("a namespace without a record is held")
	}
}
