package handlers

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/svipc"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// newIPC gives the test's thread an IPC namespace of its own.
func (c *caller) newIPC() {
	c.t.Helper()
	if err := unix.Unshare(unix.CLONE_NEWIPC); err != nil {
		c.t.Skipf("unshare an IPC namespace: %v", err)
	}
}

// object creates an object of root.
func (c *caller) object(kind sys.IPCKind, key int32, mode uint32) int {
	c.t.Helper()
	id, e := sys.IPCGet(kind, key, 1, unix.IPC_CREAT|unix.IPC_EXCL|mode)
	if e != 0 {
		c.t.Fatal(e)
	}
	return id
}

// owner returns the recorded owner of an object.
func (c *caller) owner(kind sys.IPCKind, id int64) (uid uint32, recorded bool) {
	c.t.Helper()
	ns, e := c.call.Target.EnterIPC()
	if e != 0 {
		c.t.Fatal(e)
	}
	r, ok := c.call.IPC.Get(svipc.Key{Namespace: ns.ID, Kind: kind, ID: int32(id)})
	return r.UID, ok
}

// A worker may die after it has created an object, and before it has recorded the owner or
// answered.
func TestCreateIPCAgain(t *testing.T) {
	const key = 0x5b1d
	for name, test := range map[string]struct {
		flags  int
		intent bool
		again  bool
		want   Result
		owned  bool
	}{
		"exclusive, its own":     {unix.IPC_CREAT | unix.IPC_EXCL | 0o600, true, true, Result{Final: true}, true},
		"exclusive, another's":   {unix.IPC_CREAT | unix.IPC_EXCL | 0o600, false, true, Errno(unix.EEXIST), false},
		"exclusive, not again":   {unix.IPC_CREAT | unix.IPC_EXCL | 0o600, true, false, Errno(unix.EEXIST), false},
		"its own":                {unix.IPC_CREAT | 0o600, true, true, Result{Final: true}, true},
		"another's":              {unix.IPC_CREAT | 0o600, false, true, Errno(unix.EACCES), false},
		"another's, not created": {0o600, true, true, Errno(unix.EACCES), false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCaller(t)
			c.newIPC()
			c.restrict()
			c.call.ID = 17
			if test.intent {
				*c.call.Intent = Intent{ID: 17, Began: sys.CoarseNow()}
			}
			id := c.object(sys.Semaphores, key, 0o600)
			c.call.Again, c.call.Before = test.again, sys.CoarseNow()+1e9
			if test.want.Errno == 0 {
				test.want.Val = int64(id)
			}
			for attempt := range 2 {
				c.call.Begin()
				if got := c.do(Semget, key, 1, test.flags); got != test.want {
					t.Errorf("attempt %d: %+v, want %+v", attempt, got, test.want)
				}
			}
			if uid, ok := c.owner(sys.Semaphores, int64(id)); ok != test.owned || ok && uid != 7 {
				t.Errorf("the object belongs to %d (recorded: %v), want recorded: %v", uid, ok, test.owned)
			}
		})
	}
}

// Before Linux 6.18, a namespace is known by its inode number, which the kernel gives again. The
// time of semaphores does not say that they are others than those of the namespace before.
func TestIPCOfANamespaceThatIsGone(t *testing.T) {
	c := newCaller(t)
	c.call.Target.NoNamespaceIDs = true
	c.restrict()
	var before uint64
	for namespace := range 50 {
		c.newIPC()
		ns, e := c.call.Target.EnterIPC()
		if e != 0 {
			t.Fatal(e)
		}
		if before == 0 {
			before = ns.ID
			c.call.Begin()
			if r := c.do(Semget, unix.IPC_PRIVATE, 1, 0o600); r.Errno != 0 || r.Val != 0 {
				t.Fatalf("the first object: %+v", r)
			}
			continue
		}
		c.object(sys.Semaphores, unix.IPC_PRIVATE, 0o600)
		if uid, ok := c.owner(sys.Semaphores, 0); ok {
			t.Fatalf("namespace %d has the number %d again, and root's object belongs to %d", namespace, before, uid)
		}
		time.Sleep(time.Millisecond) // the kernel ends namespaces in the background
	}
	// A record in another namespace ends the first one, unless so many processes end meanwhile that
	// nobody knows who is in it.
	for attempt := 0; c.call.IPC.Holds(before); attempt++ {
		if attempt == 100 {
			t.Fatal("a namespace without a process is held")
		}
		c.newIPC()
		c.call.Begin()
		if r := c.do(Semget, unix.IPC_PRIVATE, 1, 0o600); r.Errno != 0 {
			t.Fatal(r.Errno)
		}
	}
}

// After the death of a worker, the next one holds the namespaces that have records.
func TestAdoptIPC(t *testing.T) {
	c := newCaller(t)
	c.call.Target.NoNamespaceIDs = true
	c.newIPC()
	ns, e := c.call.Target.EnterIPC()
	if e != 0 {
		t.Fatal(e)
	}
	here, gone := svipc.Key{Namespace: ns.ID, Kind: sys.Semaphores}, svipc.Key{Namespace: 1, Kind: sys.Semaphores}
	for _, k := range []svipc.Key{here, gone} {
		if e := c.call.IPC.Set(k, svipc.Record{UID: 7}); e != 0 {
			t.Fatal(e)
		}
	}
	c.call.AdoptIPC()
	if r, ok := c.call.IPC.Get(here); !ok || r.UID != 7 || !c.call.IPC.Holds(ns.ID) {
		t.Errorf("the record is %+v (found: %v, held: %v)", r, ok, c.call.IPC.Holds(ns.ID))
	}
	if r, ok := c.call.IPC.Get(gone); ok {
		t.Errorf("a namespace that is gone has the record %+v", r)
	}
}

// The caller's user ids do not matter while no task has changed its identity.
func TestIPCOfRootContinues(t *testing.T) {
	c := newCaller(t)
	c.newIPC()
	id := c.object(sys.MessageQueue, 0, 0)
	for name, r := range map[string]Result{
		"msgget, new": c.do(Msgget, unix.IPC_PRIVATE, 0o600),
		"msgrcv":      c.do(Msgrcv, id, 0, 0, 0, 0),
		"IPC_STAT":    c.do(Msgctl, id, unix.IPC_STAT, 0),
		"IPC_RMID":    c.do(Msgctl, id, unix.IPC_RMID, 0),
	} {
		if r != Continue {
			t.Errorf("%s: %+v, want the kernel to execute it", name, r)
		}
	}
}

func TestWriteColumns(t *testing.T) {
	c := newCaller(t)
	c.newIPC()
	c.restrict()
	c.call.Begin()
	r := c.do(Shmget, unix.IPC_PRIVATE, 1, 0o640)
	if r.Errno != 0 {
		t.Fatal(r.Errno)
	}
	native, e := c.call.Target.OpenSysvipc(sysvipcFiles[0].path)
	if e != 0 {
		t.Fatal(e)
	}
	defer unix.Close(native)
	var b [4096]byte
	n, err := unix.Read(native, b[:])
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.call.readSysvipc(&sysvipcFiles[0])
	if err != nil {
		t.Fatal(err)
	}
	if len(text) != n {
		t.Errorf("the columns have other widths than the kernel's:\n%s%s", b[:n], text)
	}
}
