package test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestOwnersOnDisks runs owners.sh on file systems other than the work directory's.
func TestOwnersOnDisks(t *testing.T) {
	program := filepath.Join(programsDir(work()), "owners.sh")
	for _, fs := range []string{"btrfs", "xfs", "disk"} {
		t.Run(fs, func(t *testing.T) {
			needed, err := neededBy(program)
			if err != nil {
				t.Fatal(err)
			}
			parent := "/var/tmp"
			if fs != "disk" {
				parent = work(fs)
				needed = append(needed, fs)
			}
			needs(t, needed...)
			want, err := os.ReadFile(work("expected", "owners.sh"))
			if os.IsNotExist(err) {
				t.Skip(needsRoot)
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := runProgram(parent, program, "subuidless", "exec", "--sidecar", filepath.Join(t.TempDir(), "sidecar"), "--")
			if err != nil {
				t.Errorf("%v\n%s", err, got)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("differs from the output of real root:\n%s", diff(want, got))
			}
		})
	}
}
