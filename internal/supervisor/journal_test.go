package supervisor

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/handlers"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// Two receivers must not write to the same cache line. An old and a new worker must use
// the same layout.
func TestJournalLayout(t *testing.T) {
	var j journal
	var s slot
	for _, tt := range []struct {
		name      string
		got, want uintptr
	}{
		{"size of a slot", unsafe.Sizeof(s), 192},
		{"notification in its slot", unsafe.Offsetof(s.notif), 0},
		{"answer in its slot", unsafe.Offsetof(s.resp), 80},
		{"attempts in its slot", unsafe.Offsetof(s.attempts), 104},
		{"first slot in its cache line", unsafe.Offsetof(j.slots) % 64, 0},
		{"interrupted calls", unsafe.Offsetof(j.interrupted), 64 + 192*maxListeners*maxReceivers},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, tt.got, tt.want)
		}
	}
}

func newTestJournal(t *testing.T) (first, second *journal) {
	t.Helper()
	fd, err := newJournal()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var maps [2]*journal
	for i := range maps {
		if maps[i], err = mapJournal(fd); err != nil {
			t.Fatal(err)
		}
	}
	return maps[0], maps[1]
}

// The next worker finds what a worker has written.
func TestJournalIsShared(t *testing.T) {
	old, fresh := newTestJournal(t)
	if old.rootsMayDiffer() {
		t.Error("roots differ at the start")
	}
	for i := range old.slots {
		if old.slots[i] != (slot{}) {
			t.Fatalf("slot %d is not empty at the start", i)
		}
	}
	old.of(3)[2].notif.ID = 77
	old.rootsDiffer.Store(1)
	if !fresh.rootsMayDiffer() {
		t.Error("the new worker does not know that the roots differ")
	}
	if got := fresh.of(3)[2].notif.ID; got != 77 {
		t.Errorf("notification %d, want 77", got)
	}
}

// Each slot belongs to one listener.
func TestJournalOf(t *testing.T) {
	var j journal
	seen := map[*slot]int{}
	for i := range maxListeners {
		slots := j.of(i)
		if len(slots) != maxReceivers {
			t.Fatalf("listener %d has %d slots, want %d", i, len(slots), maxReceivers)
		}
		for n := range slots {
			if other, ok := seen[&slots[n]]; ok {
				t.Fatalf("listeners %d and %d share a slot", other, i)
			}
			seen[&slots[n]] = i
		}
	}
	if len(seen) != len(j.slots) {
		t.Errorf("%d slots belong to a listener, of %d", len(seen), len(j.slots))
	}
}

// A spare slot belongs to the listener that has taken it, also in the next worker.
func TestSpares(t *testing.T) {
	old, fresh := newTestJournal(t)
	for i := range maxSpares {
		if s := old.takeSpare(i % 2); s == nil {
			t.Fatalf("no spare slot after %d", i)
		}
	}
	if old.takeSpare(0) != nil {
		t.Error("more spare slots than there are")
	}
	of := fresh.sparesOf(1)
	if len(of) != maxSpares/2 || len(fresh.sparesOf(2)) != 0 {
		t.Errorf("%d spare slots of listener 1, and %d of 2", len(of), len(fresh.sparesOf(2)))
	}
	of[0].release()
	if old.takeSpare(2) == nil || len(fresh.sparesOf(2)) != 1 {
		t.Error("a spare slot that has been released cannot be taken")
	}
}

// A receiver with a spare slot retires as soon as another receiver is idle.
func TestRetire(t *testing.T) {
	first, spare := &receiver{}, &receiver{spare: new(spareSlot)}
	l := &listener{receivers: []*receiver{first, spare}}
	first.busy.Store(1)
	if l.retire(spare) {
		t.Error("the last idle receiver retires")
	}
	first.busy.Store(0)
	if l.retire(first) {
		t.Error("a receiver of the listener's own slots retires")
	}
	if !l.retire(spare) || len(l.receivers) != 1 || l.receivers[0] != first {
		t.Error("a spare receiver does not retire while another is idle")
	}
}

func TestRespond(t *testing.T) {
	for _, tt := range []struct {
		name   string
		result handlers.Result
		want   unotify.Resp
	}{
		{"zero", handlers.Result{}, unotify.Resp{ID: 5}},
		{"value", handlers.Return(42), unotify.Resp{ID: 5, Val: 42}},
		{"errno", handlers.Errno(unix.EPERM), unotify.Resp{ID: 5, Error: -1}},
		{"no errno", handlers.Errno(0), unotify.Resp{ID: 5}},
		// seccomp_unotify(2): "val and error must be 0" with the flag.
		{"continue", handlers.Continue, unotify.Resp{ID: 5, Flags: unotify.FlagContinue}},
		{"an error has no value", handlers.Result{Val: 3, Errno: unix.EIO}, unotify.Resp{ID: 5, Error: -int32(unix.EIO)}},
	} {
		r := receiver{slot: &slot{notif: unotify.Notif{ID: 5}, resp: unotify.Resp{ID: 4, Val: 9, Error: -9, Flags: 1}}}
		r.respond(tt.result)
		if r.slot.resp != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, r.slot.resp, tt.want)
		}
	}
}
