package ociruntime

import (
	"os/exec"
	"testing"
)

func TestKillOrphans(t *testing.T) {
	dir := t.TempDir()
	start := func(args ...string) *exec.Cmd {
		// The arguments after the first are the shell's parameters.
		cmd := exec.Command("sh", append([]string{"-c", "echo; read line", "crun", "create"}, args...)...)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = in.Close() // which ends it
			_ = cmd.Wait() // it may have been waited for
		})
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	ours := []*exec.Cmd{start("--bundle="+dir, "x"), start("--bundle="+dir, "x")}
	other := start("--bundle="+dir+"2", "x")
	if err := killOrphans(dir); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range ours {
		if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
			t.Errorf("process of the container: %v", err)
		}
	}
	if !isRuntimeProcess(other.Process.Pid, dir+"2") {
		t.Error("the process of another container has ended")
	}
	if err := killOrphans(dir); err != nil {
		t.Errorf("without a process: %v", err)
	}
}
