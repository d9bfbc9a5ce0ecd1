package test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// leakPrograms make all calls that take paths, and provoke most of their errors.
var leakPrograms = []string{"reach", "xattr", "change", "exec", "privileged", "where", "peer", "trace"}

// roundsScript runs the programs given as arguments many times, each in an empty
// directory: three rounds at first, and ten more after it has read a line.
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

// TestDescriptors counts the worker's descriptors before and after many calls. Most
// of these calls fail.
func TestDescriptors(t *testing.T) {
	needs(t, "cc")
	args := []string{"subuidless", "exec", "--", "sh", "-c", roundsScript, "rounds"}
	for _, name := range leakPrograms {
		args = append(args, filepath.Join(programsDir(work()), name))
	}
	cmd := command(t, args...)
	cmd.Dir = t.TempDir()
	cmd.Stderr = os.Stderr
	in, output := startWithPipes(t, cmd)
	await := func(want string) int {
		t.Helper()
		line, err := output.ReadString('\n')
		if err != nil || strings.TrimSpace(line) != want {
			t.Fatalf("the script printed %q (%v), want %q", line, err, want)
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
	// Each receiver keeps a few, and there may be one or two more receivers by now.
	if after := await("done"); after >= before+len(leakPrograms) {
		t.Errorf("the worker has %d descriptors, and %d after repeating the same calls", before, after)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
