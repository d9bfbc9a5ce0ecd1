package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestConfined looks at what keeper and worker may do, also those that have replaced others.
func TestConfined(t *testing.T) {
	inherited, err := os.Create(filepath.Join(t.TempDir(), "inherited"))
	if err != nil {
		t.Fatal(err)
	}
	defer inherited.Close()
	c := startChowner(t, inherited)
	first, deadKeeper, deadWorker := "", 0, 0
	for i := range 4 {
		keeper, worker := c.await("subuidless-keeper", deadKeeper), c.await("subuidless-worker", deadWorker)
		c.chown(fmt.Sprintf("%d:%d", i+1, i+2)) // the worker is ready
		files := fmt.Sprintf("/proc/%d/fd", worker)
		descriptors, err := os.ReadDir(files)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range descriptors {
			file, err := os.Readlink(filepath.Join(files, d.Name()))
			if err == nil && file == inherited.Name() {
				t.Errorf("the worker has inherited %s", file)
			}
		}
		now := confinement(t, keeper) + confinement(t, worker)
		if first == "" {
			first = now
		}
		if now != first {
			t.Errorf("at first:\n%sthen:\n%s", first, now)
		}
		// The keeper starts another worker, and that another keeper, which inherits the filter.
		deadWorker = c.kill("subuidless-worker", deadWorker)
		c.chown("3:4")
		deadKeeper = c.kill("subuidless-keeper", deadKeeper)
	}
	for _, want := range []string{"NoNewPrivs:\t1\n", "Seccomp:\t2\n", fmt.Sprintf("Max data size %d %[1]d bytes\n", 1<<30)} {
		if strings.Count(first, want) != 2 {
			t.Errorf("keeper and worker do not have %q:\n%s", want, first)
		}
	}
	c.end()
}

// confinement returns what /proc says of a process's filters, and the limit of its memory.
func confinement(t *testing.T, pid int) string {
	t.Helper()
	var b strings.Builder
	for _, file := range []string{"status", "limits"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			switch {
			case strings.HasPrefix(line, "NoNewPrivs"), strings.HasPrefix(line, "Seccomp"):
				b.WriteString(line)
			case strings.HasPrefix(line, "Max data"):
				b.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
			}
		}
	}
	return b.String()
}
