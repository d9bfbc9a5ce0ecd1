package supervisor

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
)

// pair returns two connected sockets.
func pair(t testing.TB) (a, b conn) {
	t.Helper()
	a, f, err := socketpair()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	if b, err = inherited(fd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func countFDs(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// pipes returns the read ends of n pipes, which contain "0", "1", ...
func pipes(t *testing.T, n int) []int {
	t.Helper()
	var fds []int
	for i := range n {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Write(p[1], []byte{byte('0' + i)}); err != nil {
			t.Fatal(err)
		}
		unix.Close(p[1])
		fds = append(fds, p[0])
	}
	t.Cleanup(func() { fdpass.Close(fds) })
	return fds
}

func TestMessages(t *testing.T) {
	a, b := pair(t)
	for _, want := range []message{
		{},
		{Index: 63},
		{Config: &Config{ID: "id", SocketDir: "/s", Trace: "/t", Sidecar: "/c"}, Index: 1},
		{Config: &Config{ID: strings.Repeat("long ", 8000)}},
		{Adopt: 3, Index: 2},
		{Config: &Config{Session: &Session{Linger: 1, Started: time.Unix(2, 3).UTC(), Log: "/l", Lock: "/k"}}},
		{Request: requestEnter},
		{Status: &Status{Config: Config{ID: "id"}, Listeners: 4, Idle: 5}},
		{Error: "it\x00 \"fails\"\nand how: ☃"},
	} {
		for n := range requestFDs + 1 {
			if err := a.send(want, pipes(t, n)...); err != nil {
				t.Fatal(err)
			}
			got, fds, err := b.receive()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-sent +received):\n%s", diff)
			}
			if len(fds) != n {
				t.Errorf("%d descriptors, want %d", len(fds), n)
			}
			for i, fd := range fds { // in the same order
				var c [1]byte
				if _, err := unix.Read(fd, c[:]); err != nil || c[0] != byte('0'+i) {
					t.Errorf("descriptor %d: %q, %v", i, c, err)
				}
				if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
					t.Errorf("descriptor %d is not close-on-exec", i)
				}
			}
			fdpass.Close(fds)
		}
	}
}

// Each packet is one message, also if several wait to be read.
func TestMessagesDoNotRunTogether(t *testing.T) {
	a, b := pair(t)
	for i := range 3 {
		if err := a.send(message{Index: i}); err != nil {
			t.Fatal(err)
		}
	}
	a.Close()
	for i := range 3 {
		if m, _, err := b.receive(); err != nil || m.Index != i {
			t.Errorf("message %d: %+v, %v", i, m, err)
		}
	}
	if _, _, err := b.receive(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last: %v, want io.EOF", err)
	}
}

// Malformed messages are rejected, and their descriptors closed.
func TestGarbage(t *testing.T) {
	for _, tt := range []struct {
		name string
		data string
		fds  int
	}{
		{"not JSON", "hello", 2},
		{"half a message", `{"Index":`, 2},
		{"another type", `{"Index":"one"}`, 1},
		{"two messages in one", `{"Index":1}{"Index":2}`, 1},
		{"no bytes, but descriptors", "", 1},
		{"too many descriptors", `{}`, requestFDs + 1},
		{"far too many descriptors", `{}`, 200},
		{"too long", `{"Error":"` + strings.Repeat("x", maxMessage) + `"}`, 2},
		{"too long by one", `{"Error":"` + strings.Repeat("x", maxMessage+1-12) + `"}`, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := pair(t)
			fds := make([]int, tt.fds)
			null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(null)
			for i := range fds {
				fds[i] = null
			}
			before := countFDs(t)
			var oob []byte
			if len(fds) > 0 {
				oob = unix.UnixRights(fds...)
			}
			if err := rawSend(a, tt.data, oob); err != nil {
				t.Fatal(err)
			}
			if m, got, err := b.receive(); err == nil || len(got) > 0 || m != (message{}) {
				t.Errorf("received %+v, %d descriptors, %v; want an error", m, len(got), err)
			}
			if after := countFDs(t); after != before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
			// The socket still works.
			if err := a.send(message{Index: 5}); err != nil {
				t.Fatal(err)
			}
			if m, _, err := b.receive(); err != nil || m.Index != 5 {
				t.Errorf("the next message: %+v, %v", m, err)
			}
		})
	}
}

// rawSend sends a packet, which may be empty: neither Go nor x/sys/unix sends empty ones.
func rawSend(c conn, data string, oob []byte) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	b := []byte(data)
	iov := unix.Iovec{Base: unsafe.SliceData(b), Len: uint64(len(b))}
	msg := unix.Msghdr{Iov: &iov, Iovlen: 1, Control: unsafe.SliceData(oob), Controllen: uint64(len(oob))}
	var e unix.Errno
	if err := raw.Control(func(fd uintptr) {
		_, _, e = unix.Syscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&msg)), 0)
	}); err != nil || e != 0 {
		return errors.Join(err, e)
	}
	return nil
}

func TestRequest(t *testing.T) {
	a, b := pair(t)
	for _, failure := range []error{nil, errors.New("no"), errors.New("disk is \"full\"")} {
		done := make(chan error, 1)
		go func() {
			_, fds, err := b.receive()
			fdpass.Close(fds)
			if err == nil {
				err = b.answer(failure)
			}
			done <- err
		}()
		err := a.request(message{Index: 1}, pipes(t, 2)...)
		if (err == nil) != (failure == nil) || err != nil && err.Error() != failure.Error() {
			t.Errorf("%v, want %v", err, failure)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	b.Close()
	if err := a.request(message{}); err == nil {
		t.Error("a request to a closed socket succeeds")
	}
}

func TestConnWaitHangup(t *testing.T) {
	a, b := pair(t)
	if err := b.send(message{}); err != nil { // not a hang-up
		t.Fatal(err)
	}
	if gone, err := a.waitHangup(20 * time.Millisecond); gone || err != nil {
		t.Fatalf("after a message: %v, %v", gone, err)
	}
	b.Close()
	if gone, err := a.waitHangup(time.Minute); !gone || err != nil {
		t.Errorf("after the hang-up: %v, %v", gone, err)
	}
}

func TestInheritedIsASocket(t *testing.T) {
	before := countFDs(t)
	fds := pipes(t, 1)
	fd, err := unix.FcntlInt(uintptr(fds[0]), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := inherited(fd); err == nil {
		t.Error("inherited accepts a pipe")
	}
	if after := countFDs(t); after != before+1 {
		t.Errorf("the pipe stays open: %d descriptors, want %d", after, before+1)
	}
}

// FuzzMessage receives what a peer sends to a keeper: no descriptor stays open if it is malformed.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"Index":1,"Fresh":true,"User":{"UID":1}}`), uint8(4))
	f.Add([]byte(`{"Request":"watch"}`), uint8(0))
	f.Add([]byte(`{"Config":{"ID":"a","Session":{}},"Adopt":-1}`), uint8(9))
	f.Fuzz(func(t *testing.T, data []byte, files uint8) {
		a, b := pair(t)
		null, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer null.Close()
		before := countFDs(t)
		fds := make([]int, files%16)
		for i := range fds {
			fds[i] = int(null.Fd())
		}
		var oob []byte
		if len(fds) > 0 {
			oob = unix.UnixRights(fds...)
		}
		if len(data)+len(oob) == 0 || rawSend(a, string(data), oob) != nil {
			return
		}
		_, received, err := b.receive()
		if err != nil && len(received) > 0 || err == nil && len(received) != len(fds) {
			t.Errorf("%q with %d descriptors: %d, %v", data, len(fds), len(received), err)
		}
		fdpass.Close(received)
		if now := countFDs(t); now != before {
			t.Errorf("%q with %d descriptors: %d are open, before %d", data, len(fds), now, before)
		}
	})
}
