package supervisor

import (
	"os"
	"testing"

	"github.com/rootless-containers/subuidless/internal/fdpass"
)

// An observer that has not read for a while misses nothing: it gets everything when it reads again.
func TestReportAgain(t *testing.T) {
	ours, theirs := pair(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	fd := int(null.Fd())
	k := &keeper{cfg: Config{ID: "c"}, journal: null, decoy: null, maps: mapStore{fd, fd}}
	k.listeners[3] = []int{fd}
	o := observer{ours, false}
	k.reportAgain(&o)
	k.reportAgain(&o) // nothing more
	o.report(k.cfg.ID, message{Index: 4})
	for i, want := range []struct{ index, fds int }{{0, adoptFDs}, {3, 1}, {4, 0}} {
		m, fds, err := theirs.receive()
		if err != nil {
			t.Fatal(err)
		}
		fdpass.Close(fds)
		if config := i == 0; m.Index != want.index || len(fds) != want.fds || (m.Config != nil) != config {
			t.Errorf("message %d is %+v with %d descriptors", i, m, len(fds))
		}
	}
}
