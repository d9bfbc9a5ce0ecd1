package launch

import (
	"errors"
	"os"
	"testing"

	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// TestEnterEnding has the container end, and its supervisor with it, while a command is started in it.
func TestEnterEnding(t *testing.T) {
	ours, theirs, err := fdpass.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer theirs.Close()
	null, err := os.Open(os.DevNull) // any descriptor will do
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := send(theirs, packetText, "{}", int(null.Fd())); err != nil {
		t.Fatal(err)
	}
	o := EnterOptions{Supervisor: supervisor.Config{ID: "test", SocketDir: t.TempDir()}}
	if _, _, err := o.join(ours); !errors.Is(err, ErrNotRunning) {
		t.Errorf("got %v, want ErrNotRunning", err)
	}
}
