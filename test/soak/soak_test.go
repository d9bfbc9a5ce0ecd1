package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestChecker runs the jobs on this machine: what they expect must be what root gets.
func TestChecker(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs real root: run the tests as root")
	}
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // users search it
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "soak")
	if err := build(program, "test/soak"); err != nil {
		t.Fatal(err)
	}
	p, err := startPlace("root", withPrograms(), false, nil, append([]string{program, "jobs", "1", filepath.Join(dir, "jobs")}, withPrograms()...))
	if err != nil {
		t.Fatal(err)
	}
	if err := awaitFirst(t.Context(), []*place{p}); err != nil {
		t.Error(err)
	}
	for p.total().Calls < 10_000 && p.hangs() == "" {
		pause(t.Context(), reportEvery)
	}
	if err := endPlaces([]*place{p}); err != nil {
		t.Error(err)
	}
	if sum := p.total(); sum.Wrong > 0 || sum.Lost > 0 || !sum.Done {
		t.Errorf("%+v\n%s", sum, p.said())
	}
}

// TestSoak is a short run with a fixed seed.
func TestSoak(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "soak")
	if err := build(program, "test/soak"); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, "-minutes=2", "-seed=1").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
