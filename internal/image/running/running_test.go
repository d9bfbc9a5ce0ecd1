package running

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/storedir"
)

func TestParseSignal(t *testing.T) {
	for text, want := range map[string]unix.Signal{
		"SIGTERM": unix.SIGTERM, "TERM": unix.SIGTERM, "quit": unix.SIGQUIT, "15": 15, "SIGRTMIN+3": 37, "RTMAX-1": 63, "SIGRTMIN": 34,
	} {
		if got, err := ParseSignal(text); err != nil || got != want {
			t.Errorf("ParseSignal(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "65", "SIGNOTHING", "SIGRTMIN+31", "-1"} {
		if got, err := ParseSignal(text); err == nil {
			t.Errorf("ParseSignal(%q) = %d, want an error", text, got)
		}
	}
}

// A container that another machine runs, with a store on a file system that both see, is never
// reached by process ids, which mean other processes here.
func TestElsewhere(t *testing.T) {
	bystander := exec.Command("sleep", "1000")
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = bystander.Wait()
		close(ended)
	}()
	defer func() {
		_ = bystander.Process.Kill()
		<-ended
	}()
	c := &storedir.Container{Name: "away", Dir: t.TempDir()}
	lock, err := storedir.LockFile(filepath.Join(c.Dir, "lock"), unix.LOCK_EX) // NFS gives it to one machine only
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	c.State.SetProcesses(bystander.Process.Pid)
	if err := c.CheckProcesses(); err != nil {
		t.Errorf("a container of this machine: %v", err)
	}
	c.State.Init, c.State.Host, c.State.PIDSpace = bystander.Process.Pid, "node7", "another-boot pid:[1]"
	if err := c.SaveState(false); err != nil {
		t.Fatal(err)
	}
	for what, f := range map[string]func() error{
		"stop": func() error { return Stop(c, "", 0) }, "kill": func() error { return Kill(c) }, "signal": func() error { return Signal(c, unix.SIGTERM) },
		"killProcess": func() error { return killProcess(c) },
		"exec":        func() error { _, err := Exec(c, ExecOptions{Args: []string{"true"}}); return err },
		"top":         func() error { _, err := Top(c); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), "runs on node7") {
			t.Errorf("%s: %v", what, err)
		}
	}
	select {
	case <-ended:
		t.Error("a process that does not belong to the container was killed")
	default:
	}
	if _, err := os.Stat(filepath.Join(c.Dir, "state.json")); err != nil {
		t.Error(err)
	}
}
