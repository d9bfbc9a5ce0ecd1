package test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// stopSessions ends the sessions below the runtime directory run, with everything in them.
func stopSessions(run string) error {
	names, err := filepath.Glob(filepath.Join(run, "subuidless", "sessions", "*"))
	if err != nil {
		return err
	}
	for _, name := range names {
		cmd := exec.Command("subuidless", "session", "stop", "--force", filepath.Base(name))
		cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+run)
		if out, e := cmd.CombinedOutput(); e != nil {
			err = errors.Join(err, fmt.Errorf("stopping session %s: %w\n%s", name, e, out))
		}
	}
	return err
}
