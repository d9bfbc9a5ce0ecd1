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

// fixedSeeds is the number of generated programs that the test compares on each file system.
// Those from an image are slower.
var fixedSeeds = map[string]uint64{"ext4": 1500, "tmpfs": 1500, "overlay": 1500, "btrfs": 200, "xfs": 200}

// TestOracle runs the regression files and the programs of a fixed set of seeds, on tmpfs also with
// accelerated processes.
func TestOracle(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs real root: run the tests as root")
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("needs gcc: test/prepare installs it")
	}
	// PR_SET_PDEATHSIG of the sides refers to this thread. It ends with the test, because newPlace
	// gives it a mount namespace.
	runtime.LockOSThread()
	all, err := realCaps()
	if err != nil {
		t.Fatal(err)
	}
	uid, reservation, err := freeid.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	defer reservation.Close()
	pl, err := newPlace("/var/tmp", binaries{}, uid)
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
	for _, fs := range []string{"btrfs", "xfs"} {
		if err := pl.mount(fs); err != nil {
			t.Logf("not on %s: %v; load the kernel's %[1]s and loop, and install mkfs.%[1]s", fs, err)
			continue
		}
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
	for seed := range fixedSeeds[fs] {
		p := generate(seed, withoutOn(fs, nil))
		if d := pr.difference(p); d != "" {
			t.Errorf("seed %d on %s differs:\n%s%s", seed, name, p, d)
		}
	}
	if err := errors.Join(pr.close()); err != nil {
		t.Error(err)
	}
}
