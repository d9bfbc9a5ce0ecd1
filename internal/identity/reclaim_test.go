package identity

import (
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// states counts the states in a table.
func (t *Table) states() int {
	n := 0
	for _, mark := range t.shared.hashes[:t.shared.top] {
		if mark != 0 {
			n++
		}
	}
	return n
}

func TestFullTable(t *testing.T) {
	table, _ := newTable(t)
	table.limit = 7
	p, q := startPython(t), startPython(t)
	tid := q.do("r, end = thread()")
	table.mustSet(t, q.pid, user(1))
	table.mustSet(t, tid, user(2))
	table.mustSet(t, p.pid, user(3))
	child := p.do("r = fork()")
	// Many more than the limit, one after the other.
	for i := range uint32(100) {
		table.mustSet(t, p.pid, user(1000+i))
	}
	table.wants(t, "the process", p.pid, user(1099))
	table.wants(t, "a thread", q.pid, user(1))
	table.wants(t, "another thread", tid, user(2))
	table.wants(t, "a child", child, user(3))
	// As many as the limit at once.
	fourth := p.do("r = fork()")
	table.mustSet(t, fourth, user(4))
	if e := table.Set(q.pid, user(5)); e != unix.EAGAIN {
		t.Errorf("Set with a full table: %v, want EAGAIN", e)
	}
	if e := table.Expect(p.pid, user(5)); e != unix.EAGAIN {
		t.Errorf("Expect with a full table: %v, want EAGAIN", e)
	}
	if e := table.SetLocks(p.pid, unix.Rlimit{}); e != unix.EAGAIN {
		t.Errorf("SetLocks with a full table: %v, want EAGAIN", e)
	}
	table.wants(t, "the process, afterwards", p.pid, user(1099))
	// The state after a pending execve is in use, too.
	kill := func(pid uint32) { p.do("os.kill(%d, 9); os.waitpid(%d, 0)", pid, pid) }
	kill(child)
	if e := table.Expect(p.pid, user(5)); e != 0 {
		t.Fatal(e)
	}
	kill(fourth)
	for i := range uint32(20) {
		table.mustSet(t, q.pid, user(6+i))
	}
	p.executes("os.execvp('sleep', ['sleep', '60'])")
	table.wants(t, "after execve", p.pid, user(5))
}

// A program that has not started yet needs its state.
func TestPreparedIsUsed(t *testing.T) {
	table, _ := newTable(t)
	table.limit = 5
	if err := table.Prepare(3, &User{UID: 42, GID: 43, AdditionalGids: []uint32{5, 4}}); err != nil {
		t.Fatal(err)
	}
	p := startPython(t)
	for i := range uint32(50) {
		table.mustSet(t, p.pid, user(1000+i))
	}
	q := startPython(t)
	if err := table.Begin(3, q.pid); err != nil {
		t.Fatal(err)
	}
	if table.InRuntime(3) {
		t.Error("InRuntime after the program has begun")
	}
	got, e := table.Get(q.pid)
	if e != 0 || got.UID.Effective != 42 || got.GID.Saved != 43 || len(got.Groups) != 2 || got.Effective != 0 {
		t.Errorf("%+v, %v", got, e)
	}
}

// The size of a table does not depend on the number of tasks.
func TestForks(t *testing.T) {
	table, _ := newTable(t)
	p := startPython(t)
	alice := user(42)
	table.mustSet(t, p.pid, alice)
	before := table.states()
	p.do("r = os.system('i=0; while [ $i -lt 10000 ]; do (:); i=$((i+1)); done')")
	table.wants(t, "the parent", p.pid, alice)
	table.wants(t, "the last child", p.do("r = fork()"), alice)
	if after := table.states(); after != before {
		t.Errorf("%d states before, %d after", before, after)
	}
}

// While tasks fork and exit, and unused states are reclaimed again and again, no task
// loses its identity.
func TestReclaimAmongForks(t *testing.T) {
	table, _ := newTable(t)
	table.limit = 24
	// Lines of descendants: each process forks the next one, and exits.
	p := startPython(t)
	p.do("exec(%q)", "def descend():\n for i in range(300):\n  if os.fork() != 0: os._exit(0)\n os.write(w, b'%d ' % os.getpid())\n signal.pause()\n")
	p.do("r0, w = os.pipe()")
	var wg sync.WaitGroup
	stop := make(chan struct{})
	q := startPython(t)
	wg.Go(func() {
		for i := uint32(0); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			// EAGAIN: tasks fork and exit too fast.
			if e := table.Set(q.pid, user(5000+i%5000)); e != 0 && e != unix.EAGAIN {
				t.Errorf("Set: %v", e)
			}
		}
	})
	for i := range uint32(3) {
		table.mustSetAgain(t, p.pid, user(100+i, i))
		p.do("fork(descend)")
		last := p.do("r = int(os.read(r0, 9))")
		table.wants(t, "the last of a line", last, user(100+i, i))
	}
	close(stop)
	wg.Wait()
}

// Processes that exit while they are listed count only if they may have passed on a state that is
// not known: others fork and exit all the time.
func TestExitWhileListed(t *testing.T) {
	table, _ := newTable(t)
	own, other := startPython(t), startPython(t)
	table.mustSet(t, own.pid, user(42))
	list := []uint32{own.pid, other.pid}
	for _, p := range []*python{own, other} {
		list = append(list, p.do("r = fork()"))
	}
	var used [maxStates]bool
	examined := map[uint32]bool{}
	want := func(what string, processes []uint32, missed bool) {
		t.Helper()
		if got := table.markUsed(&used, processes, examined); got != missed {
			t.Errorf("%s: a state may be missed: %v, want %v", what, got, missed)
		}
	}
	want("at first", list, true)
	want("again", list, false)
	list = append(list, own.do("r = fork()"), other.do("r = fork()"))
	want("new processes of known states", list, false)
	unknown := other.do("r = fork()")
	for _, p := range []*python{own, other} {
		p.do("[(os.kill(c, 9), os.waitpid(c, 0)) for c in map(int, open('/proc/self/task/%%d/children' %% os.getpid()).read().split())]")
	}
	want("after the end of known processes", list, false)
	want("after the end of another one", append(list, unknown), true)
	table.mustSet(t, other.pid, user(43))
	want("a new state", list, true)
}

// mustSetAgain is mustSet for a table that may be full for a while.
func (t *Table) mustSetAgain(tt *testing.T, tid uint32, s *State) {
	tt.Helper()
	for range 1000 {
		if e := t.Set(tid, s); e != unix.EAGAIN {
			if e != 0 {
				tt.Fatalf("Set: %v", e)
			}
			return
		}
	}
	tt.Fatal("the table stays full")
}

// A worker finds the table as its predecessor has left it, and ignores an unfinished
// entry.
func TestSuccessor(t *testing.T) {
	table, fd := newTable(t)
	p := startPython(t)
	alice := user(42, 7, 8)
	table.mustSet(t, p.pid, alice)
	// Killed in the middle of put: the index is taken, and its state is incomplete.
	half := table.shared.top
	table.shared.top++
	table.shared.fixed[half] = user(43).fixed()
	next := mapTable(t, fd)
	if !next.InUse() {
		t.Error("the table is not in use")
	}
	next.wants(t, "afterwards", p.pid, alice)
	bob := user(43, 9)
	next.mustSet(t, p.pid, bob)
	next.wants(t, "a new state", p.pid, bob)
	if got, _ := getCookie(p.pid); got.state() != uint16(half) {
		t.Errorf("the new state has the index %d, want %d, which is free", got.state(), half)
	}
	table.wants(t, "by another mapping", p.pid, bob)
}

// The file is sparse: states without groups take no memory for them.
func TestSparse(t *testing.T) {
	table, fd := newTable(t)
	p := startPython(t)
	for i := range uint32(100) {
		table.mustSet(t, p.pid, user(1000+i))
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	if used := st.Blocks * 512; used > int64(unsafe.Sizeof(table.shared.fixed))+1<<17 {
		t.Errorf("%d bytes of memory for 100 states without groups", used)
	}
}
