package launch

import (
	"os/signal"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
)

// TestStageKilled has a signal end the stage just before it is to execute the command.
func TestStageKilled(t *testing.T) {
	t.Cleanup(func() { signal.Reset() })
	pid, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "1000"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs, err := fdpass.Pair()
	if err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	if err := unix.Kill(pid, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c := &Command{stage: &stage{pid: pid, socket: ours}}
	if status, err := c.Run(); status != 128+int(unix.SIGTERM) || err != nil {
		t.Errorf("status %d, %v", status, err)
	}
}
