package test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// leakPrograms make all calls that take paths, and provoke most of their errors.
var leakPrograms = []string{"reach", "xattr", "change", "exec", "privileged", "where", "peer", "trace"}

// roundsScript runs the programs given as arguments many times, each in an empty
// directory: three rounds at first, and ten more after each line that it reads.
const roundsScript = `
round() {
	for program; do
		mkdir -m 755 here && (cd here && "$program" >/dev/null 2>&1); rm -rf here
	done
}
for i in 1 2 3; do round "$@"; done
echo done
while read go; do
	for i in 1 2 3 4 5 6 7 8 9 10; do round "$@"; done
	echo done
done
`

// TestDescriptors counts the worker's descriptors after many calls, again and again. Most
// of these calls fail. Each receiver keeps a few, and a busy machine has several; but what
// leaks grows each time, and by more than receivers can.
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
	count := func() int {
		t.Helper()
		if line, err := output.ReadString('\n'); err != nil || line != "done\n" {
			t.Fatalf("the script printed %q (%v)", line, err)
		}
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", nextWorker(t, cmd.Process.Pid, 0)))
		if err != nil {
			t.Fatal(err)
		}
		return len(open)
	}
	const repetitions = 6
	for n, before := 1, count(); ; n++ {
		if _, err := io.WriteString(in, "\n"); err != nil {
			t.Fatal(err)
		}
		after := count()
		if after < before+len(leakPrograms) {
			break
		}
		if n == repetitions {
			t.Errorf("the worker has %d descriptors, and %d after repeating the same calls; they grow each time", before, after)
			break
		}
		before = after
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
