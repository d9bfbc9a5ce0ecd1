package supervisor

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
)

// joining returns the configuration of a container, and a process to pass to its keeper.
func joining(t *testing.T) (Config, Process) {
	t.Helper()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	return Config{ID: "test", SocketDir: t.TempDir()}, Process{Listener: null}
}

// listenAs listens as the keeper of a container, in the place of one that was killed.
func listenAs(t *testing.T, cfg Config) *net.UnixListener {
	t.Helper()
	path := filepath.Join(cfg.SocketDir, "new")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Net: "unixpacket", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false) // as if it was killed
	if err := os.Rename(path, cfg.socketPath()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// accept receives a request at l.
func accept(t *testing.T, l *net.UnixListener) conn {
	t.Helper()
	u, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	c := conn{u}
	_, fds, err := c.receive()
	if err != nil || len(fds) != 1 {
		t.Fatalf("received %d descriptors, %v", len(fds), err)
	}
	fdpass.Close(fds)
	return c
}

// Join waits while there is no keeper, and repeats its request to the next one if a keeper was
// killed before the answer.
func TestJoinWaitsForKeeper(t *testing.T) {
	cfg, p := joining(t)
	listenAs(t, cfg).Close()
	result := make(chan error, 1)
	go func() { result <- Join(cfg, p) }()
	killed := listenAs(t, cfg)
	accept(t, killed).Close()
	killed.Close()
	c := accept(t, listenAs(t, cfg))
	defer c.Close()
	if err := c.answer(nil); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func TestJoinErrors(t *testing.T) {
	cfg, p := joining(t)
	if err := Join(cfg, p); !errors.Is(err, ErrNoKeeper) { // at once: there has been none
		t.Errorf("got %v, want ErrNoKeeper", err)
	}
	l := listenAs(t, cfg)
	result := make(chan error, 1)
	go func() { result <- Join(cfg, p) }()
	c := accept(t, l)
	defer c.Close()
	if err := c.answer(errEnded); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err == nil || errors.Is(err, ErrNoKeeper) {
		t.Errorf("got %v, want the keeper's answer", err)
	}
}

// Nobody waits for ever for a keeper that does not answer.
func TestSilentKeeper(t *testing.T) {
	defer func(before time.Duration) { keeperPatience = before }(keeperPatience)
	keeperPatience = time.Nanosecond
	cfg, p := joining(t)
	l := listenAs(t, cfg)
	for name, ask := range map[string]func() error{
		"Join":  func() error { return Join(cfg, p) },
		"Enter": func() error { _, err := Enter(cfg); return err },
		"Watch": func() error { _, err := requestToWatch(cfg.SocketDir, cfg.socketName()); return err },
	} {
		var silent *Silent
		if err := ask(); !errors.As(err, &silent) || silent.ID != cfg.ID || silent.Keeper != os.Getpid() {
			t.Errorf("%s: %v", name, err)
		}
	}
	l.Close()
}

// A container may be started again before the keeper of its last run notices the end of that: the new
// one can be reached nevertheless.
func TestKeeperRemovesOwnSocket(t *testing.T) {
	cfg, _ := joining(t)
	late, next := &keeper{cfg: cfg}, &keeper{cfg: cfg}
	for _, k := range []*keeper{late, next} {
		if err := k.openSocket(); err != nil {
			t.Fatal(err)
		}
	}
	if err := late.removeSocket(); err != nil {
		t.Fatal(err)
	}
	c, err := dial(cfg)
	if err != nil {
		t.Fatal("the next keeper:", err)
	}
	c.Close()
	if err := next.removeSocket(); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(cfg); !errors.Is(err, ErrNoKeeper) {
		t.Errorf("got %v, want ErrNoKeeper", err)
	}
}

// If the worker is killed before it has answered, or before the keeper has noticed its end, a process
// joins as soon as there is another worker.
func TestJoinWaitsForWorker(t *testing.T) {
	for name, closes := range map[string]func(dead, workers conn){
		"has died":           func(_, workers conn) { workers.Close() },
		"dies":               func(_, workers conn) { _, fds, _ := workers.receive(); fdpass.Close(fds); workers.Close() },
		"is not started yet": func(dead, _ conn) { dead.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			var request []int
			listener := make([]int, 2) // a pipe hangs up, too
			if err := unix.Pipe2(listener, unix.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{"/proc/self/ns/user", "/proc/self/ns/mnt", "/"} {
				fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
				if err != nil {
					t.Fatal(err)
				}
				request = append(request, fd)
			}
			k := &keeper{done: make(chan struct{})}
			k.session.home = append([]int{fdListener: -1}, request...)
			t.Cleanup(func() {
				unix.Close(listener[1])
				<-k.done // after the hang-up
				fdpass.Close(request)
			})
			dead, workers := pair(t)
			k.worker = dead
			joined := make(chan error, 1)
			go func() { joined <- k.join(listener[:1:1], message{}) }()
			closes(dead, workers)
			next, served := pair(t)
			k.mu.Lock()
			k.worker = next
			k.mu.Unlock()
			for _, want := range []struct {
				fresh bool
				fds   int
			}{{true, 0}, {false, requestFDs}} {
				m, fds, err := served.receive()
				fdpass.Close(fds)
				if err != nil || m.Fresh != want.fresh || len(fds) != want.fds {
					t.Errorf("the next worker receives %+v, %d descriptors, %v", m, len(fds), err)
				}
				if err := served.answer(nil); err != nil {
					t.Fatal(err)
				}
			}
			if err := <-joined; err != nil {
				t.Error(err)
			}
		})
	}
}

// A listener does not get an index whose slots a thread of the worker still uses.
func TestOccupiedIndex(t *testing.T) {
	ours, theirs := pair(t)
	k := &keeper{worker: ours}
	k.listeners[0] = []int{-1}
	go func() {
		for _, answer := range []error{errOccupied, errOccupied, nil} {
			_, _, _ = theirs.receive()
			_ = theirs.answer(answer)
		}
	}()
	if i, err := k.prepareIndex(message{}); i != 3 || err != nil {
		t.Errorf("index %d, %v, want 3", i, err)
	}
}

// A receiver that handles a call uses its slot.
func TestOccupied(t *testing.T) {
	l := &listener{receivers: []*receiver{{}, {}}}
	if l.occupied() {
		t.Error("idle receivers use their slots")
	}
	l.receivers[1].busy.Store(7)
	if !l.occupied() {
		t.Error("a busy receiver does not use its slot")
	}
	l = &listener{}
	room := &waitingRoom{receiver: &receiver{}}
	l.room.Store(room)
	if room.receiver.busy.Store(7); !l.occupied() {
		t.Error("a busy waiting room does not use its slot")
	}
}

// A keeper recognizes a listener that it has already.
func TestSupervises(t *testing.T) {
	_, p := joining(t)
	fd := int(p.Listener.Fd())
	own, err := duplicate([]int{fd})
	if err != nil {
		t.Fatal(err)
	}
	defer fdpass.Close(own)
	k := &keeper{}
	if k.supervises(fd) {
		t.Error("a keeper without listeners supervises one")
	}
	k.listeners[3] = own
	if !k.supervises(fd) {
		t.Error("a duplicate is not recognized")
	}
	_, other := joining(t)
	if k.supervises(int(other.Listener.Fd())) {
		t.Error("another file is taken for the listener")
	}
}

func TestSocketSet(t *testing.T) {
	a, b := Config{ID: "a", SocketDir: "/x"}, Config{ID: "b", SocketDir: "/x"}
	var s socketSet
	s.add(a, 1)
	s.add(a, 1)
	s.add(a, -1)
	if !s.has(a) || s.has(b) {
		t.Errorf("the set has a: %v, b: %v", s.has(a), s.has(b))
	}
	if s.add(a, -1); s.has(a) || len(s.count) != 0 {
		t.Errorf("the set is %v after the end", s.count)
	}
}

// A process of another user that reaches the keeper's socket gets no answer.
func TestOtherUsersAreRefused(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs real root: run the tests as root")
	}
	const nobody = 65534
	// The kernel notes the thread's ids as those of the peer: see SO_PEERCRED in socket(7).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	become := func(euid uintptr) {
		if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), euid, ^uintptr(0)); e != 0 {
			t.Fatal(e)
		}
	}
	for _, uid := range []uintptr{nobody, 0} {
		become(uid)
		ours, theirs, err := socketpair()
		become(0)
		if err != nil {
			t.Fatal(err)
		}
		served, err := fdpass.Conn(theirs)
		if err != nil {
			t.Fatal(err)
		}
		if err := ours.send(message{Request: "unknown"}); err != nil {
			t.Fatal(err)
		}
		if err := ours.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		(&keeper{}).serve(conn{served})
		if m, _, err := ours.receive(); keeperDied(err) != (uid == nobody) || uid == 0 && m.Error == "" {
			t.Errorf("user %d: %+v, %v", uid, m, err)
		}
		ours.Close()
	}
}
