package identity

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/workertest"
)

func (t *Table) mustSet(tt *testing.T, tid uint32, s *State) {
	tt.Helper()
	if e := t.Set(tid, s); e != 0 {
		tt.Fatalf("Set: %v", e)
	}
}

// waits checks the state of a task that waits for an answer.
func (t *Table) waits(tt *testing.T, tid uint32, want *State) {
	tt.Helper()
	got, e := t.Self(tid, assumeWaiting{})
	if e != 0 || !got.Equal(want) {
		tt.Errorf("%+v, %v\nwant %+v", got, e, *want)
	}
}

func TestChildrenInherit(t *testing.T) {
	table, _ := newTable(t)
	p := startPython(t)
	root := Root()
	table.wants(t, "nobody has changed", p.pid, &root)
	alice := user(42, 1, 2, 3)
	table.mustSet(t, p.pid, alice)
	table.wants(t, "the process", p.pid, alice)
	child := p.do("r = fork()")
	table.wants(t, "its child", child, alice)
	// A child that outlives its parent.
	orphan := p.do("a, b = os.pipe(); c = fork(lambda: os.write(b, b'%%d' %% fork())); os.waitpid(c, 0); r = int(os.read(a, 9))")
	table.wants(t, "an orphan", orphan, alice)
	bob := user(43)
	table.mustSet(t, child, bob)
	table.wants(t, "the child", child, bob)
	table.wants(t, "its parent", p.pid, alice)
	// Another program.
	exec := p.do("r = os.posix_spawnp('sleep', ['sleep', '60'], {})")
	table.wants(t, "another program", exec, alice)
	other := startPython(t)
	table.wants(t, "somebody else", other.pid, &root)
	if _, e := table.Get(1 << 30); e != unix.ESRCH {
		t.Errorf("no task: %v, want ESRCH", e)
	}
}

// A table ignores the cookies of another container.
func TestTagsDiffer(t *testing.T) {
	a, _ := newTable(t)
	b, _ := newTable(t)
	a.shared.tag, b.shared.tag = 1, 2
	p := startPython(t)
	a.mustSet(t, p.pid, user(42))
	q := startPython(t)
	b.mustSet(t, q.pid, user(7))
	root := Root()
	b.wants(t, "another container's task", p.pid, &root)
	if b.Own(p.pid) || !a.Own(p.pid) {
		t.Error("a task belongs to one container")
	}
	for _, l := range []uint64{0, 1<<50 - 1, unix.RLIM_INFINITY, 1<<63 | 1<<50} {
		if a.owns(cookie(l)) {
			t.Errorf("the limit %#x is taken for a cookie", l)
		}
	}
}

func TestThreads(t *testing.T) {
	table, _ := newTable(t)
	p := startPython(t)
	root, alice, bob := Root(), user(42, 5), user(43)
	one := p.do("r, end1 = thread()")
	two := p.do("r, end2 = thread()")
	table.mustSet(t, one, alice)
	table.wants(t, "the thread", one, alice)
	table.wants(t, "the first thread", p.pid, &root)
	table.wants(t, "another thread", two, &root)
	table.mustSet(t, two, bob)
	table.wants(t, "the thread", one, alice)
	table.wants(t, "another thread", two, bob)
	table.wants(t, "a child of the first thread", p.do("r = fork()"), &root)
	// When all have the same state again, the process has it.
	table.mustSet(t, p.pid, bob)
	table.mustSet(t, one, bob)
	for _, tid := range []uint32{p.pid, one, two} {
		table.wants(t, "after all", tid, bob)
		if slack, e := table.slack(tid); e != 0 || slack != defaultSlack {
			t.Errorf("the timer slack is %d, %v", slack, e)
		}
	}
	if c, e := getCookie(p.pid); e != 0 || c.has(perThread) {
		t.Errorf("the cookie is %#x, %v", c, e)
	}
	// The child of a thread has the thread's state, and no longer needs the timer slack.
	table.mustSet(t, p.pid, alice)
	child := p.do("r = fork()")
	table.wants(t, "a child", child, alice)
	table.waits(t, child, alice)
	if c, e := getCookie(child); e != 0 || c.has(perThread) {
		t.Errorf("the cookie of the child is %#x, %v", c, e)
	}
	if slack, e := table.slack(child); e != 0 || slack != defaultSlack {
		t.Errorf("the timer slack of the child is %d, %v", slack, e)
	}
}

// Several receivers set the states of threads of one process at once.
func TestThreadsAtOnce(t *testing.T) {
	table, _ := newTable(t)
	p := startPython(t)
	tids := []uint32{p.pid}
	for range 7 {
		tids = append(tids, p.do("r, end = thread()"))
	}
	for round := range 50 {
		var wg sync.WaitGroup
		for i, tid := range tids {
			wg.Go(func() {
				own := user(uint32(1000*round + i%3))
				if e := table.Set(tid, own); e != 0 {
					t.Errorf("Set: %v", e)
				}
				table.wants(t, "a thread", tid, own)
			})
		}
		wg.Wait()
		for i, tid := range tids {
			table.wants(t, "a thread, later", tid, user(uint32(1000*round+i%3)))
		}
		if round%2 == 0 {
			for _, tid := range tids {
				wg.Go(func() { _ = table.Set(tid, user(7)) })
			}
			wg.Wait()
			if c, e := getCookie(p.pid); e != 0 || c.has(perThread) {
				t.Errorf("the cookie of a process of one user is %#x, %v", c, e)
			}
		}
	}
}

// A thread with a real-time scheduling policy has no timer slack.
func TestRealTimeThread(t *testing.T) {
	table, _ := newTable(t)
	p := startPython(t)
	tid := p.do("r, end = thread()")
	if err := workertest.RealTime(tid); err != nil {
		t.Skip("needs the permission for a real-time policy: ", err)
	}
	alice := user(42)
	table.mustSet(t, tid, alice)
	table.wants(t, "the real-time thread", tid, alice)
	table.mustSet(t, p.pid, alice)
	table.wants(t, "the other thread", p.pid, alice)
}

// executes makes a task execute a program, and waits until it has.
func (p *python) executes(line string) {
	p.t.Helper()
	before, err := exeOf(p.pid)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.stdin.Write([]byte(line + "\n")); err != nil {
		p.t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if now, err := exeOf(p.pid); err == nil && now != before {
			return
		}
	}
	p.t.Fatal("the program is not executed within a minute")
}

func exeOf(pid uint32) (string, error) {
	var p path
	name := "/proc/" + unix.BytePtrToString(p.set(pid, "exe"))
	b := make([]byte, 200)
	n, err := unix.Readlink(name, b)
	return string(b[:max(n, 0)]), err
}

func TestExecve(t *testing.T) {
	for name, prefix := range map[string][]string{"": nil, "without address space randomization": {"setarch", "-R"}} {
		t.Run(name, func(t *testing.T) {
			table, _ := newTable(t)
			p := startPython(t, prefix...)
			alice, bob := user(42), user(43)
			expect := func(tid uint32, s *State) {
				t.Helper()
				if e := table.Expect(tid, s); e != 0 {
					t.Fatalf("Expect: %v", e)
				}
			}
			table.mustSet(t, p.pid, alice)
			// The execve fails, and nothing changes, also for the children.
			expect(p.pid, bob)
			child := p.do("r = fork()")
			table.wants(t, "a child, before", child, alice)
			table.waits(t, p.pid, alice)
			if c, _ := getCookie(p.pid); c.has(pending) {
				t.Error("the failed execve is still pending")
			}
			// Others may read the state before the execve succeeds.
			expect(p.pid, bob)
			table.wants(t, "before", p.pid, alice)
			table.wants(t, "before, again", p.pid, alice)
			p.executes("os.execvp('sleep', ['sleep', '60'])")
			table.wants(t, "after", p.pid, bob)

			p = startPython(t, prefix...)
			table.mustSet(t, p.pid, alice)
			// A program may overwrite its auxiliary vector in its own memory.
			expect(p.pid, bob)
			p.do("libc.getauxval.restype = ctypes.c_void_p; ctypes.memset(libc.getauxval(25), 1, 16)")
			table.waits(t, p.pid, alice)
			expect(p.pid, bob)
			if e := table.ResolveExec(p.pid); e != 0 {
				t.Errorf("ResolveExec: %v", e)
			}
			// Another thread may be in execve.
			tid := p.do("r, end = thread()")
			expect(tid, bob)
			table.wants(t, "the thread, before", tid, alice)
			table.wants(t, "the first thread, before", p.pid, alice)
			if e := table.ResolveExec(p.pid); e != unix.EBUSY {
				t.Errorf("ResolveExec with another thread: %v, want EBUSY", e)
			}
			// Its execve fails; another thread's execve of an ordinary program succeeds.
			expect(p.pid, alice)
			p.executes("os.execvp('sleep', ['sleep', '60'])")
			table.wants(t, "after a plain program", p.pid, alice)

			p = startPython(t, prefix...)
			table.mustSet(t, p.pid, alice)
			tid = p.do("r, end = thread()")
			table.mustSet(t, tid, user(44))
			expect(p.pid, bob)
			p.executes("os.execvp('sleep', ['sleep', '60'])")
			table.wants(t, "after", p.pid, bob)
			if slack, e := table.slack(p.pid); e != 0 || slack != defaultSlack {
				t.Errorf("the timer slack is %d, %v", slack, e)
			}
		})
	}
}

// A process whose hard RLIMIT_LOCKS has been lowered cannot change its identity.
func TestLoweredLimit(t *testing.T) {
	table, _ := newTable(t)
	p := startPython(t)
	if e := prlimit(p.pid, &unix.Rlimit{Cur: 10, Max: 10}, nil); e != 0 {
		t.Fatal(e)
	}
	if e := table.Set(p.pid, user(42)); e != unix.EAGAIN {
		t.Errorf("Set: %v, want EAGAIN", e)
	}
	root := Root()
	table.wants(t, "afterwards", p.pid, &root)
}

// A process that returns to the initial state is as one that never had another, after execve(2), too.
func TestReturns(t *testing.T) {
	table, _ := newTable(t)
	p := startPython(t)
	root, alice := Root(), user(42)
	is := func(want bool) {
		t.Helper()
		if got := table.IsInitial(p.pid, assumeWaiting{}); got != want {
			t.Errorf("initial: %v, want %v", got, want)
		}
		if own := table.Own(p.pid); own == want {
			t.Errorf("has a cookie: %v", own)
		}
	}
	is(true)
	table.mustSet(t, p.pid, alice)
	is(false)
	table.mustSet(t, p.pid, &root)
	is(true)
	table.mustSet(t, p.pid, &root) // nothing to do
	is(true)
	table.mustSet(t, p.pid, alice)
	if e := table.Expect(p.pid, &root); e != 0 {
		t.Fatal(e)
	}
	is(false) // the execve(2) has failed
	if e := table.Expect(p.pid, &root); e != 0 {
		t.Fatal(e)
	}
	p.executes("os.execvp('sleep', ['sleep', '60'])")
	is(true)
	var l unix.Rlimit
	if e := prlimit(p.pid, nil, &l); e != 0 || l != Unlimited {
		t.Errorf("the limit is %v, %v", l, e)
	}
}

// Leaves is called for a process each time before it leaves the initial state, and can prevent that.
func TestLeaves(t *testing.T) {
	table, _ := newTable(t)
	p := startPython(t)
	root := Root()
	var left []uint32
	err := errors.New("no")
	table.Leaves = func(tid uint32) error {
		left = append(left, tid)
		table.wants(t, "before", tid, &root)
		return err
	}
	if e := table.Set(p.pid, user(42)); e != unix.EAGAIN {
		t.Errorf("Set: %v, want EAGAIN", e)
	}
	table.wants(t, "prevented", p.pid, &root)
	err = nil
	table.mustSet(t, p.pid, user(42))
	table.mustSet(t, p.pid, user(43))
	table.mustSet(t, p.pid, &root)
	table.mustSet(t, p.pid, &root)
	table.mustSet(t, p.pid, user(43))
	if want := []uint32{p.pid, p.pid, p.pid}; !slices.Equal(left, want) {
		t.Errorf("called for %d, want %d", left, want)
	}
}

func TestLocks(t *testing.T) {
	table, _ := newTable(t)
	p := startPython(t)
	alice := user(42)
	tid := p.do("r, end = thread()")
	table.mustSet(t, tid, alice)
	l := unix.Rlimit{Cur: 3, Max: 4}
	if e := table.SetLocks(p.pid, l); e != 0 {
		t.Fatal(e)
	}
	root := Root()
	root.Locks, alice.Locks = l, l // a limit applies to the whole process
	table.wants(t, "the first thread", p.pid, &root)
	table.wants(t, "the other thread", tid, alice)
}

// A thread that changes its ids makes the whole process undumpable.
func TestUndumpableThreads(t *testing.T) {
	table, _ := newTable(t)
	p := startPython(t)
	one := p.do("r, end1 = thread()")
	two := p.do("r, end2 = thread()")
	alice, bob, root := user(42), user(43), Root()
	table.mustSet(t, one, alice)
	bob.Undumpable = true
	table.mustSet(t, two, bob)
	alice.Undumpable, root.Undumpable = true, true
	table.wants(t, "the thread with other ids", one, alice)
	table.wants(t, "the first thread", p.pid, &root)
	// PR_SET_DUMPABLE applies to the whole process, too.
	root.Undumpable = false
	table.mustSet(t, p.pid, &root)
	alice.Undumpable, bob.Undumpable = false, false
	table.wants(t, "the thread with other ids", one, alice)
	table.wants(t, "the other thread", two, bob)
	// When all have the same state, the process has it.
	root.Undumpable = true
	for _, tid := range []uint32{p.pid, one, two} {
		table.mustSet(t, tid, &root)
	}
	if c, e := getCookie(p.pid); e != 0 || c.has(perThread) {
		t.Errorf("the cookie is %#x, %v", c, e)
	}
	table.wants(t, "the thread", one, &root)
}

// SetLocks needs two indexes for a process that executes a program. In a full table, the second
// one must not be the first one's.
func TestLocksInFullTable(t *testing.T) {
	table, _ := newTable(t)
	p := startPython(t)
	table.mustSet(t, p.pid, user(42))
	if e := table.Expect(p.pid, user(43)); e != 0 {
		t.Fatal(e)
	}
	table.limit = int(table.shared.top) + 1
	l := unix.Rlimit{Cur: 3, Max: 4}
	before := user(42)
	before.Locks = l
	for range 2 { // the first attempt may find no second index
		if e := table.SetLocks(p.pid, l); e != 0 && e != unix.EAGAIN {
			t.Fatal(e)
		}
	}
	table.wants(t, "the process", p.pid, before)
}

func TestSlack(t *testing.T) {
	table, _ := newTable(t)
	p := startPython(t)
	tid := p.do("r, end = thread()")
	table.mustSet(t, p.pid, user(42))
	for _, slack := range []uint64{1, defaultSlack, firstSlack, lastSlack, hiddenSlack, hiddenSlack + 1, 1 << 30} {
		for who, id := range map[string]uint32{"the first thread": p.pid, "the other one": tid} {
			if e := table.SetSlack(id, slack); e != 0 {
				t.Fatal(e)
			}
			if got, _, e := table.Slack(id); e != 0 || got != slack {
				t.Errorf("%s: %d, %v, want %d", who, got, e, slack)
			}
		}
	}
	if got, e := table.Get(p.pid); e != 0 || got.UID.Real != 42 {
		t.Errorf("afterwards the first thread is %d, %v", got.UID.Real, e)
	}
	if got, e := table.Get(tid); e != 0 || got.UID.Real != 0 {
		t.Errorf("afterwards the other one is %d, %v", got.UID.Real, e)
	}
}

func TestGetAllocatesNothing(t *testing.T) {
	table, _ := newTable(t)
	p := startPython(t)
	var e unix.Errno
	get := func() { _, e = table.Get(p.pid) }
	if n := testing.AllocsPerRun(100, get); n != 0 {
		t.Errorf("before: %v allocations", n)
	}
	table.mustSet(t, p.pid, user(42, 1, 2, 3))
	if n := testing.AllocsPerRun(100, get); n != 0 || e != 0 {
		t.Errorf("%v allocations, %v", n, e)
	}
	a, b := user(1, 2), user(3)
	if n := testing.AllocsPerRun(100, func() { _, _ = table.Set(p.pid, a), table.Set(p.pid, b) }); n != 0 {
		t.Errorf("Set: %v allocations", n)
	}
}
