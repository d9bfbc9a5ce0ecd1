package test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// leakPrograms make all calls that have paths, with most of the errors that there are.
var leakPrograms = []string{"reach", "xattr", "change", "exec", "privileged", "where", "peer", "trace"}

// roundsScript runs the programs which are its arguments many times, each in an empty
// directory: some rounds at first, and then some more after each line that it reads.
const roundsScript = `
round() {
	for program; do
		mkdir -m 755 here && (cd here && "$program" >/dev/null 2>&1); rm -rf here
	done
}
for i in 1 2 3; do round "$@"; done
echo warm
read go
for i in 1 2 3 4 5 6 7 8 9 10; do round "$@"; done
echo done
read go || :
`

// TestDescriptors counts the worker's descriptors before and after many calls, most of
// which fail.
func TestDescriptors(t *testing.T) {
	needs(t, "cc")
	args := []string{"exec", "--", "sh", "-c", roundsScript, "rounds"}
	for _, name := range leakPrograms {
		args = append(args, filepath.Join(programsDir(work()), name))
	}
	cmd := exec.CommandContext(t.Context(), "subuidless", args...)
	cmd.Dir = t.TempDir()
	cmd.Stderr = os.Stderr
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
	said := bufio.NewReader(out)
	await := func(want string) int {
		t.Helper()
		line, err := said.ReadString('\n')
		if err != nil || strings.TrimSpace(line) != want {
			t.Fatalf("the script says %q (%v), want %q", line, err, want)
		}
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", nextWorker(t, cmd.Process.Pid, 0)))
		if err != nil {
			t.Fatal(err)
		}
		return len(open)
	}
	before := await("warm")
	if _, err := io.WriteString(in, "\n"); err != nil {
		t.Fatal(err)
	}
	// Each receiver keeps a few, and there may be another receiver or two by now.
	if after := await("done"); after >= before+len(leakPrograms) {
		t.Errorf("the worker has %d descriptors, and %d after more of the same calls", before, after)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
