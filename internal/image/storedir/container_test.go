package storedir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A file that a power cut has left incomplete gives a clear error, or what is known without it; never
// another container.
func TestTruncatedContainer(t *testing.T) {
	store := t.TempDir()
	dir := filepath.Join(store, containersDir, "0123")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	now := time.Now().Round(0).UTC()
	c := &Container{Dir: dir, ID: "0123", Name: "name", Created: now}
	c.State = State{Started: now, Finished: now.Add(time.Second), ExitCode: 7}
	if err := c.Save(); err != nil {
		t.Fatal(err)
	}
	if err := c.SaveState(false); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{Config, "state.json"} {
		file := filepath.Join(dir, name)
		whole, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for n := range len(whole) + 1 {
			if err := os.WriteFile(file, whole[:n], 0o600); err != nil {
				t.Fatal(err)
			}
			all, err := Containers(store)
			switch {
			case err != nil:
				if name != Config || !strings.Contains(err.Error(), file) {
					t.Errorf("%s, %d bytes: %v", name, n, err)
				}
			case len(all) != 1:
				t.Errorf("%s, %d bytes: %d containers", name, n, len(all))
			case strings.HasPrefix(all[0].State.Error, "its state was lost"):
				if name == Config || all[0].State.ExitCode != exitKilled || all[0].State.Finished.IsZero() {
					t.Errorf("%s, %d bytes: %+v", name, n, all[0])
				}
			default:
				if diff := cmp.Diff(c, all[0]); diff != "" {
					t.Errorf("%s, %d bytes (-want +got):\n%s", name, n, diff)
				}
			}
		}
	}
}
