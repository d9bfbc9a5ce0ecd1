package test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestProgramsInContainer runs the programs that involve other processes in a
// container, where process ids differ from those that the supervisor sees.
func TestProgramsInContainer(t *testing.T) {
	needs(t, "busybox", "cc", "root")
	root := filepath.Join(work("tmp"), "container")
	if err := makeRootfs(root); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := removeAll(root); err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{"kill", "guard", "peer", "credentials", "credentials_wait", "trace", "network", "ipc", "mq"} {
		t.Run(name, func(t *testing.T) {
			if err := copyFile(filepath.Join(root, "root", name), filepath.Join(programsDir(work()), name)); err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(work("expected", name))
			if err != nil {
				t.Fatal(err)
			}
			dir := "/tmp/" + name
			got, err := runProgram(work("tmp"), "/root/"+name, "subuidless", "run", root, "--", "sh", "-c", `mkdir "$0" && cd "$0" && "$1"`, dir)
			if err != nil {
				t.Errorf("%v\n%s", err, got)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("differs from the output of real root:\n%s", diff(want, got))
			}
		})
	}
}
