package test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestProgramsInContainer asks what concerns other processes in a container too: there
// they have other numbers than the supervisor knows them by.
func TestProgramsInContainer(t *testing.T) {
	if reason, lacks := lacking("busybox", "cc", "root"); lacks {
		t.Skip(reason)
	}
	root := filepath.Join(work("tmp"), "container")
	if err := makeRootfs(root); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := removeAll(root); err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{"kill", "guard", "peer", "trace", "network"} {
		t.Run(name, func(t *testing.T) {
			if err := copyFile(filepath.Join(root, "root", name), filepath.Join(programsDir(work()), name)); err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(work("answers", name))
			if err != nil {
				t.Fatal(err)
			}
			dir := "/tmp/" + name
			got, err := ask(work("tmp"), "/root/"+name, "subuidless", "run", root, "--", "sh", "-c", `mkdir "$0" && cd "$0" && "$1"`, dir)
			if err != nil {
				t.Errorf("%v\n%s", err, got)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("differs from what real root gets:\n%s", diff(want, got))
			}
		})
	}
}
