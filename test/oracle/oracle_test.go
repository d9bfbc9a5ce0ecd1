package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/rootless-containers/subuidless/internal/accelerate"
	"github.com/rootless-containers/subuidless/test/freeid"
)

// fixedSeeds is the number of generated programs that the test compares on each file
// system.
const fixedSeeds = 1500

// TestOracle runs the regression files and the programs of a fixed set of seeds, on tmpfs also with
// accelerated processes.
func TestOracle(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs real root: run the tests as root")
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("needs gcc: test/prepare installs it")
	}
	runtime.LockOSThread() // PR_SET_PDEATHSIG of the sides refers to this thread
	defer runtime.UnlockOSThread()
	all, err := realCaps()
	if err != nil {
		t.Fatal(err)
	}
	uid, reservation, err := freeid.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	defer reservation.Close()
	pl, err := newPlace("/var/tmp", "", uid)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := pl.remove(); err != nil {
			t.Error(err)
		}
	}()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no regression files: ", err)
	}
	for _, fs := range []string{"ext4", "tmpfs", "overlay"} {
		compare(t, pl, fs, all, files)
	}
	if err := accelerate.Supported(); err != nil {
		t.Log("not with accelerated processes: ", err)
		return
	}
	pl.accelerated = true
	compare(t, pl, "tmpfs", all, files)
}

// compare runs the regression files, and the programs of the seeds, on a file system.
func compare(t *testing.T, pl *place, fs string, all uint64, files []string) {
	t.Helper()
	name := fs
	if pl.accelerated {
		name += ", accelerated,"
	}
	pr, err := pl.open(fs, all)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		p, err := readProgram(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := pr.difference(p); d != "" {
			t.Errorf("%s on %s differs:\n%s", file, name, d)
		}
	}
	for seed := range uint64(fixedSeeds) {
		p := generate(seed, withoutOn(fs, nil))
		if d := pr.difference(p); d != "" {
			t.Errorf("seed %d on %s differs:\n%s%s", seed, name, p, d)
		}
	}
	if err := errors.Join(pr.close()); err != nil {
		t.Error(err)
	}
}
