package identity

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/idmap"
)

const newUser = unix.CLONE_NEWUSER

// mustMove announces that the task may enter another user namespace.
func (t *Table) mustMove(tt *testing.T, tid uint32) {
	tt.Helper()
	if e := t.Move(tid); e != 0 {
		tt.Fatal(e)
	}
}

// in checks that the task is in a namespace with that parent, which the user has created, and
// that it has entered it as one does. It returns the namespace.
func (t *Table) in(tt *testing.T, what string, tid uint32, parent *cred.Namespace, before *State) *cred.Namespace {
	tt.Helper()
	got, e := t.Get(tid)
	n := got.Namespace
	if e != 0 || n == nil || n.Parent != parent || n.Owner != before.UID.Effective {
		tt.Fatalf("%s: %+v, %v", what, n, e)
	}
	want := *before
	want.Credentials = want.Enter(n)
	if !got.Equal(&want) {
		tt.Errorf("%s: %+v\nwant %+v", what, got, want)
	}
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/uid_map", tid)); err != nil || len(text) == 0 {
		tt.Errorf("%s: the kernel maps no id: %v", what, err)
	}
	return n
}

func TestMove(t *testing.T) {
	table, fd := newTable(t)
	p := startPython(t)
	table.mustSet(t, p.pid, user(1000))
	table.mustMove(t, p.pid)
	table.wants(t, "before the call", p.pid, user(1000))
	if p.do("r = -libc.unshare(%d)", newUser) != 0 {
		t.Skip("needs user namespaces")
	}
	before := p.do("r = fork()") // has not made a call
	first := table.in(t, "another task's view", p.pid, nil, user(1000))
	if own, e := table.Self(p.pid, assumeWaiting{}); e != 0 || own.Namespace != first {
		t.Errorf("the task's view: %+v, %v", own, e)
	}
	if c, e := getCookie(p.pid); e != 0 || c.has(moving) {
		t.Errorf("cookie %#x, %v", c, e)
	}
	child := p.do("r = fork()")
	for _, pid := range []uint32{before, child} {
		if table.in(t, "a child", pid, nil, user(1000)) != first {
			t.Error("a child is in another namespace")
		}
	}

	// A call that fails.
	s, _ := table.Get(p.pid)
	table.mustMove(t, p.pid)
	table.wants(t, "after a call that failed", p.pid, &s)
	if own, e := table.Self(p.pid, assumeWaiting{}); e != 0 || own.Namespace != first {
		t.Errorf("after a call that failed: %+v, %v", own, e)
	}

	// One level deeper, by a user that has changed meanwhile.
	table.SetMap(first, cred.UIDMap, idmap.Map{{Inside: 0, Outside: 1000, Count: 1}, {Inside: 1, Outside: 5, Count: 9}})
	table.SetMap(first, cred.GIDMap, idmap.Map{{Inside: 0, Outside: 0, Count: 1}})
	first.DenySetgroups()
	table.StoreSetgroups(first)
	s.Credentials, _ = s.Setuid(5)
	table.mustSet(t, p.pid, &s)
	table.mustMove(t, p.pid)
	p.do("r = -libc.unshare(%d)", newUser)
	second := table.in(t, "below", p.pid, first, &s)
	if !second.SetgroupsDenied() {
		t.Error("a child namespace does not inherit setgroups")
	}

	// The next worker finds the same.
	again := mapTable(t, fd)
	got, e := again.Get(p.pid)
	if e != 0 || got.Namespace == nil || got.Namespace.Index != second.Index || got.Namespace.Parent == nil {
		t.Fatalf("after a restart: %+v, %v", got.Namespace, e)
	}
	parent := got.Namespace.Parent
	if parent.UID(3) != 7 || parent.SeenGID(0) != 0 || !parent.SetgroupsDenied() || parent.Owner != 1000 || got.Namespace.Owner != 5 {
		t.Errorf("after a restart: %+v", parent)
	}
	if again.in(t, "a child, after a restart", child, nil, user(1000)) != parent {
		t.Error("a child is in another namespace after a restart")
	}
}

// The flag stays as long as another thread may be in clone(2).
func TestMoveThreads(t *testing.T) {
	table, _ := newTable(t)
	p := startPython(t)
	table.mustSet(t, p.pid, user(1000))
	tid := p.do("r, end = thread()")
	table.mustMove(t, p.pid)
	table.mustMove(t, tid)
	flagged := func(want bool) {
		t.Helper()
		if c, e := getCookie(p.pid); e != 0 || c.has(moving) != want {
			t.Errorf("cookie %#x, %v; want moving: %v", c, e, want)
		}
	}
	flagged(true)
	for _, call := range []struct {
		tid  uint32
		want bool
	}{{p.pid, true}, {p.pid, true}, {tid, false}} {
		if _, e := table.Self(call.tid, assumeWaiting{}); e != 0 {
			t.Fatal(e)
		}
		flagged(call.want)
	}
}

// A process may create threads before its first call.
func TestMoveThenThreads(t *testing.T) {
	table, _ := newTable(t)
	p := startPython(t)
	table.mustSet(t, p.pid, user(1000))
	table.mustMove(t, p.pid)
	p.do("r = -libc.unshare(%d)", newUser)
	tid := p.do("r, end = thread()")
	for _, caller := range []uint32{p.pid, tid} {
		if own, e := table.Self(caller, assumeWaiting{}); e != 0 || own.Namespace == nil {
			t.Errorf("%+v, %v", own, e)
		}
	}
	if c, e := getCookie(p.pid); e != 0 || c.has(moving) {
		t.Errorf("cookie %#x, %v", c, e)
	}
}

// A process that clone(2) has made in a new namespace is there, and its parent is not.
func TestMoveChild(t *testing.T) {
	for _, threads := range []int{1, 2} {
		table, _ := newTable(t)
		p := startPython(t)
		table.mustSet(t, p.pid, user(1000))
		if threads > 1 {
			p.do("r, end = thread()")
		}
		table.mustMove(t, p.pid)
		child := p.do("up, down = os.pipe(); r = fork(lambda: (libc.unshare(%d), os.write(down, b'x'), signal.pause())); os.read(up, 1)", newUser)
		table.in(t, "the child", child, nil, user(1000))
		table.wants(t, "the parent", p.pid, user(1000))
		if own, e := table.Self(p.pid, assumeWaiting{}); e != 0 || own.Namespace != nil {
			t.Errorf("the parent: %+v, %v", own, e)
		}
		if c, e := getCookie(p.pid); e != 0 || c.has(moving) {
			t.Errorf("%d threads: the cookie of the parent is %#x afterwards, %v", threads, c, e)
		}
		// The child has another thread before its first call.
		if own, e := table.Self(child, assumeWaiting{}); e != 0 || own.Namespace == nil {
			t.Errorf("the child: %+v, %v", own, e)
		}
	}
}

func TestSetns(t *testing.T) {
	table, _ := newTable(t)
	p, q := startPython(t), startPython(t)
	table.mustSet(t, p.pid, user(1000))
	table.mustMove(t, p.pid)
	p.do("r = -libc.unshare(%d)", newUser)
	n := table.in(t, "the creator", p.pid, nil, user(1000))
	root := Root()
	table.mustSet(t, q.pid, &root)
	table.mustMove(t, q.pid)
	if q.do("r = -libc.setns(os.open('/proc/%d/ns/user', 0), 0)", p.pid) != 0 {
		t.Fatal("setns failed")
	}
	s, e := table.Get(q.pid)
	if e != 0 || s.Namespace != n || s.UID.Real != 0 || !s.Undumpable {
		t.Errorf("%+v, %v", s, e)
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/user", p.pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if found, ok := table.FindNamespace(fd); !ok || found != n {
		t.Errorf("FindNamespace: %+v, %v", found, ok)
	}
	own, err := unix.Open("/proc/self/ns/user", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(own)
	if found, ok := table.FindNamespace(own); !ok || found != nil {
		t.Errorf("FindNamespace of the container's: %+v, %v", found, ok)
	}
}

// Entries of namespaces that no task is in any more are used again.
func TestManyNamespaces(t *testing.T) {
	table, _ := newTable(t)
	p := startPython(t)
	table.mustSet(t, p.pid, user(1000))
	table.mustMove(t, p.pid)
	p.do("r = -libc.unshare(%d)", newUser)
	n := table.in(t, "the creator", p.pid, nil, user(1000))
	for i := range uint64(3 * maxNamespaces) {
		if _, e := table.newNamespace(namespaceKey{id: 1<<50 | i}, -1, n.Index, initial); e != 0 {
			t.Fatalf("namespace %d: %v", i, e)
		}
	}
	if table.in(t, "the creator, afterwards", p.pid, nil, user(1000)) != n {
		t.Error("a namespace that is in use has been forgotten")
	}
}

// Where namespaces have no numbers that are never used again, one whose tasks have ended keeps
// its inode number until the entry is free, and after a restart it is forgotten.
func TestInodeNumbers(t *testing.T) {
	table, fd := newTable(t)
	table.inodes = true
	if e := table.noteContainer(); e != 0 {
		t.Fatal(e)
	}
	p := startPython(t)
	table.mustSet(t, p.pid, user(1000))
	create := func() (pid uint32, n *cred.Namespace) {
		t.Helper()
		table.mustMove(t, p.pid)
		pid = p.do("up, down = os.pipe(); r = fork(lambda: (libc.unshare(%d), os.write(down, b'x'), signal.pause())); os.read(up, 1); os.close(up); os.close(down)", newUser)
		return pid, table.in(t, "a child", pid, nil, user(1000))
	}
	end := func(pid uint32) { p.do("os.kill(%d, 9); os.waitpid(%d, 0)", pid, pid) }
	pid, first := create()
	if _, again := create(); again == first {
		t.Error("two namespaces are one")
	}
	if own, e := table.Self(pid, assumeWaiting{}); e != 0 || own.Namespace != first {
		t.Errorf("%+v, %v", own, e) // the entry that Get has made
	}
	table.SetMap(first, cred.UIDMap, idmap.Map{{Inside: 3, Outside: 1000, Count: 1}})
	dead, lost := create()
	end(dead)
	if _, next := create(); next == lost {
		t.Error("a new namespace has the entry of one that has ended")
	}
	for range 3 * minPinned {
		pid, _ := create()
		end(pid)
	}
	if table.pinned > 2*minPinned {
		t.Errorf("%d namespaces are pinned", table.pinned)
	}
	for _, pin := range table.pins {
		if pin != 0 {
			unix.Close(pin) // the worker dies
		}
	}
	again := mapTable(t, fd)
	again.inodes = true
	for i := range again.namespaces { // which mapTable has loaded without the switch
		again.namespaces[i].Store(nil)
	}
	if e := again.noteContainer(); e != 0 {
		t.Fatal(e)
	}
	again.loadNamespaces()
	s, e := again.Get(pid)
	if e != 0 || s.Namespace == nil || s.Namespace.UID(3) != 1000 {
		t.Errorf("after a restart: %+v, %v", s.Namespace, e)
	}
	if again.pinned == 0 || again.pinned > 8 {
		t.Errorf("%d namespaces are pinned after a restart", again.pinned)
	}
}
