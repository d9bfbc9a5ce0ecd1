package fdpass

import (
	"errors"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A message arrives whole, with duplicates of its descriptors.
func TestSendReceive(t *testing.T) {
	ours, theirs, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer theirs.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if err := Send(ours, []byte("two"), int(r.Fd()), int(w.Fd())); err != nil {
		t.Fatal(err)
	}
	if err := Send(ours, []byte("none")); err != nil {
		t.Fatal(err)
	}
	var b [16]byte
	n, m, err := Receive(theirs, b[:])
	if err != nil || string(b[:n]) != "two" || len(m.FDs) != 2 {
		t.Fatalf("got %q, %+v, %v", b[:n], m, err)
	}
	defer Close(m.FDs)
	for i, f := range []*os.File{r, w} {
		var want, got unix.Stat_t
		if err := errors.Join(unix.Fstat(int(f.Fd()), &want), unix.Fstat(m.FDs[i], &got)); err != nil || got.Ino != want.Ino {
			t.Errorf("descriptor %d is another file (%v)", i, err)
		}
		if flags, err := unix.FcntlInt(uintptr(m.FDs[i]), unix.F_GETFD, 0); err != nil || flags != unix.FD_CLOEXEC {
			t.Errorf("descriptor %d has the flags %d (%v), want close-on-exec", i, flags, err)
		}
	}
	if n, m, err := Receive(theirs, b[:]); err != nil || string(b[:n]) != "none" || len(m.FDs) != 0 {
		t.Errorf("got %q, %+v, %v", b[:n], m, err)
	}
}

// After an error, no descriptor is left open.
func TestReceiveErrors(t *testing.T) {
	ours, theirs, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	if err := Send(ours, []byte("too long"), int(ours.Fd())); err != nil {
		t.Fatal(err)
	}
	before := openFiles(t)
	if _, m, err := Receive(theirs, make([]byte, 3)); err == nil || m.FDs != nil {
		t.Errorf("a truncated message: %+v, %v", m, err)
	}
	if n := openFiles(t); n != before {
		t.Errorf("%d descriptors leaked", n-before)
	}
	if err := ours.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Receive(theirs, make([]byte, 3)); err != io.EOF {
		t.Errorf("the peer has closed its end: %v, want EOF", err)
	}
	if err := Send(theirs, []byte("x")); !errors.Is(err, unix.EPIPE) {
		t.Errorf("the peer has closed its end: %v, want EPIPE", err)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TrySend and TryReceive do not wait.
func TestTry(t *testing.T) {
	ours, theirs, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer theirs.Close()
	var b [16]byte
	if _, _, err := TryReceive(int(theirs.Fd()), b[:]); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("receiving nothing: %v, want EAGAIN", err)
	}
	sent := 0
	for err = nil; err == nil; sent++ {
		err = TrySend(int(ours.Fd()), []byte("x"), int(ours.Fd()))
	}
	if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.ETOOMANYREFS) || sent < 2 {
		t.Errorf("sending message %d: %v, want EAGAIN", sent, err)
	}
	n, m, err := TryReceive(int(theirs.Fd()), b[:])
	if err != nil || string(b[:n]) != "x" || len(m.FDs) != 1 {
		t.Errorf("got %q, %+v, %v", b[:n], m, err)
	}
	Close(m.FDs)
}
