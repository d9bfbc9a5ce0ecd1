package supervisor

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/unotify"
)

// The next worker finds the calls that wait, each with its listener.
func TestWaitingCalls(t *testing.T) {
	old, fresh := newTestJournal(t)
	before, after := waitingCalls{calls: &old.waiting}, waitingCalls{calls: &fresh.waiting}
	first := before.add(3, &unotify.Notif{ID: 1})
	before.add(4, &unotify.Notif{ID: 2})
	third := before.add(3, &unotify.Notif{ID: 3})
	before.remove(first)
	calls := after.of(3)
	if len(calls) != 1 || calls[0].notif.ID != 3 {
		t.Errorf("calls of listener 3: %v, want the third", calls)
	}
	if after.any(0) || !after.any(4) {
		t.Error("another listener has the calls")
	}
	third.attempts = 7
	before.remove(third)
	if again := before.add(5, &unotify.Notif{ID: 4}); again.attempts != 0 {
		t.Errorf("a new call has had %d attempts", again.attempts)
	}
}

// A room frees the places of calls that enter when its listener has hung up, and closes their sockets.
func TestWaitingRoomClose(t *testing.T) {
	j, _ := newTestJournal(t)
	calls := waitingCalls{calls: &j.waiting}
	room := &waitingRoom{wake: -1, entering: make(chan waiting, 2)}
	var peers []int
	enter := func(id uint64) waiting {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		peers = append(peers, pair[1])
		return waiting{call: calls.add(3, &unotify.Notif{ID: id}), socket: pair[0]}
	}
	room.present = []waiting{enter(1)}
	room.entering <- enter(2)
	room.close(&calls)
	if calls.any(3) {
		t.Error("places are taken by calls whose callers have ended")
	}
	for _, fd := range peers {
		if n, err := unix.Read(fd, make([]byte, 1)); n != 0 || err != nil {
			t.Errorf("a socket is not closed: %v", err)
		}
		unix.Close(fd)
	}
}

func TestWaitingCallsFull(t *testing.T) {
	j, _ := newTestJournal(t)
	w := waitingCalls{calls: &j.waiting}
	var last *waitingCall
	for i := range uint64(maxWaiting) {
		if last = w.add(0, &unotify.Notif{ID: i + 1}); last == nil {
			t.Fatalf("no place for call %d", i+1)
		}
	}
	if w.add(0, &unotify.Notif{ID: 1000}) != nil {
		t.Error("a place for one more call")
	}
	w.remove(last)
	if w.add(0, &unotify.Notif{ID: 1000}) == nil {
		t.Error("no place after one call has left")
	}
}
