package supervisor

import (
	"testing"

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
