package storedir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// TestLoadStateStarting loads the state of a container that others start and that ends, again and
// again. It never looks as if it had been killed.
func TestLoadStateStarting(t *testing.T) {
	c := &Container{Dir: t.TempDir()}
	done, ended := make(chan struct{}), make(chan error)
	go func() {
		defer close(ended)
		runs := &Container{Dir: c.Dir}
		for {
			select {
			case <-done:
				return
			default:
			}
			lock, err := LockFile(filepath.Join(c.Dir, "lock"), unix.LOCK_EX)
			if err == nil {
				runs.State = State{Started: time.Now()}
				err = runs.SaveState(false)
			}
			if err == nil {
				time.Sleep(100 * time.Microsecond) // it runs
				runs.State.Finished = time.Now()
				err = runs.SaveState(false)
			}
			lock.Unlock()
			if err != nil {
				ended <- err
				return
			}
		}
	}()
	for range 10000 {
		if err := c.LoadState(); err != nil || c.State.Error != "" {
			t.Errorf("%v, %+v", err, c.State)
			break
		}
	}
	close(done)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

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
	if err := os.WriteFile(c.lockFile(), nil, 0o600); err != nil {
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
			all, damaged, err := Containers(store)
			switch {
			case err != nil:
				t.Fatal(err)
			case len(damaged) > 0:
				d := damaged[0]
				if name != Config || !strings.Contains(d.Error(), file) || d.Container.ID != c.ID || d.Container.Dir != dir || len(all) > 0 {
					t.Errorf("%s, %d bytes: %v, %+v", name, n, d, d.Container)
				}
				if found, err := FindContainer(store, "0123"); err != error(d) && !strings.Contains(err.Error(), file) {
					t.Errorf("%s, %d bytes: FindContainer: %+v, %v", name, n, found, err)
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
