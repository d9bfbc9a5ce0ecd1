package sys

import (
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A process gets a signal only if it is meant.
func TestSignalIf(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	if e := SignalIf(pid, unix.SIGKILL, func() bool { return false }); e != unix.ESRCH {
		t.Errorf("a process that is not meant: %v", e)
	}
	if e := SignalIf(pid, 0, func() bool { return true }); e != 0 {
		t.Errorf("the process has not survived: %v", e)
	}
	if e := SignalIf(pid, unix.SIGTERM, func() bool { return true }); e != 0 {
		t.Error(e)
	}
	if _ = cmd.Wait(); cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != unix.SIGTERM {
		t.Errorf("the process has ended with %v", cmd.ProcessState)
	}
	in.Close()
	// Another process may have that number now.
	asked := false
	if e := SignalIf(pid, unix.SIGTERM, func() bool { asked = true; return false }); e != unix.ESRCH {
		t.Errorf("a process that has ended: %v, asked: %v", e, asked)
	}
}
