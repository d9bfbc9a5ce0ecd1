package handlers

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/idmap"
)

// mapQueue is a MapStore in memory.
type mapQueue []struct {
	text []byte
	fd   int
}

func (q *mapQueue) Put(text []byte, fd int) error {
	dup, err := unix.Dup(fd)
	*q = append(*q, struct {
		text []byte
		fd   int
	}{text, dup})
	return err
}

func (q *mapQueue) Take() ([]byte, int, bool) {
	if len(*q) == 0 {
		return nil, -1, false
	}
	first := (*q)[0]
	*q = (*q)[1:]
	return first.text, first.fd, true
}

// A text takes effect with the next call, and what could not be written fails at once.
func TestMapWrites(t *testing.T) {
	c := newCaller(t)
	w, store, identities := c.call.Maps, new(mapQueue), c.call.Identities
	w.Restore(store, identities)
	creator := cred.Credentials{UID: cred.IDs{Real: 33, Effective: 33, Saved: 33, FS: 33}, GID: cred.IDs{Real: 33, Effective: 33, Saved: 33, FS: 33}}
	n := &cred.Namespace{Index: 1, Owner: 33, Group: 33}
	inside := creator.Enter(n)
	write := func(f mapFile, opener cred.Credentials, text string) error {
		t.Helper()
		fd, e := w.open(f, n, opener)
		if e != 0 {
			t.Fatal(e)
		}
		defer unix.Close(fd)
		_, err := unix.Write(fd, []byte(text))
		return err
	}
	if err := write(gidMapFile, inside, "0 33 1\n"); err != unix.EPERM {
		t.Errorf("gid_map before setgroups: %v", err)
	}
	if err := write(uidMapFile, inside, "0 33 1\n1 100000 65536\n"); err != unix.EPERM {
		t.Errorf("a range without privileges: %v", err)
	}
	w.settle(identities)
	if len(n.UIDs()) != 0 || w.pending.Load() != 0 || len(*store) != 0 {
		t.Errorf("after refused writes: %v, %d pending, %d stored", n.UIDs(), w.pending.Load(), len(*store))
	}
	if err := write(uidMapFile, inside, "0 33 1\n"); err != nil {
		t.Fatal(err)
	}
	if len(*store) != 1 {
		t.Errorf("%d stored", len(*store))
	}
	w.settle(identities)
	if diff := cmp.Diff(idmap.Map{{Inside: 0, Outside: 33, Count: 1}}, n.UIDs()); diff != "" || len(*store) != 0 {
		t.Errorf("uid_map, %d stored (-want +got):\n%s", len(*store), diff)
	}
	if err := write(uidMapFile, inside, "0 33 1\n"); err != unix.EPERM {
		t.Errorf("a second write: %v", err)
	}
	if err := write(setgroupsFile, inside, "deny"); err != nil {
		t.Fatal(err)
	}
	w.settle(identities)
	if err := write(gidMapFile, inside, "7 33 1"); err != nil {
		t.Fatal(err)
	}
	w.settle(identities)
	if diff := cmp.Diff(idmap.Map{{Inside: 7, Outside: 33, Count: 1}}, n.GIDs()); diff != "" || !n.SetgroupsDenied() {
		t.Errorf("gid_map (-want +got):\n%s", diff)
	}
	if err := write(setgroupsFile, inside, "allow"); err != unix.EPERM {
		t.Errorf("setgroups afterwards: %v", err)
	}

	// A range, by a process with privileges; the descriptor is still open.
	n = &cred.Namespace{Index: 2, Owner: 33, Group: 33}
	fd, e := w.open(uidMapFile, n, cred.Root())
	if e != 0 {
		t.Fatal(e)
	}
	w.settle(identities)
	if len(n.UIDs()) != 0 || w.pending.Load() != 1 {
		t.Error("a file that has not been written to yet is not waited for")
	}
	if _, err := unix.Write(fd, []byte("0 33 1\n1 100000 65536\n")); err != nil {
		t.Fatal(err)
	}
	w.settle(identities)
	unix.Close(fd)
	if len(n.UIDs()) != 2 {
		t.Errorf("uid_map: %v", n.UIDs())
	}
}

// What a program writes before it closes the file takes effect, whenever another call settles.
func TestMapWritesWhileSettling(t *testing.T) {
	c := newCaller(t)
	w, identities := c.call.Maps, c.call.Identities
	rounds := uint32(5000)
	if testing.Short() {
		rounds = 200
	}
	for i := range rounds {
		n := &cred.Namespace{Index: 1, Owner: 33, Group: 33}
		fd, e := w.open(uidMapFile, n, cred.Root())
		if e != 0 {
			t.Fatal(e)
		}
		written := make(chan error)
		go func() {
			_, err := unix.Write(fd, []byte("0 33 1\n"))
			written <- errors.Join(err, unix.Close(fd))
		}()
		var err error
		for done := false; !done; {
			select {
			case err = <-written:
				done = true
			default:
			}
			w.settle(identities)
		}
		if err != nil || len(n.UIDs()) != 1 || w.pending.Load() != 0 {
			t.Fatalf("round %d: %v, %v, %d pending", i, err, n.UIDs(), w.pending.Load())
		}
	}
}
