package test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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

// newSession starts a session, which is stopped at the end of the test, and returns its name.
func newSession(t *testing.T) string {
	t.Helper()
	name := strings.ReplaceAll(t.Name(), "/", "-")
	if out, err := command(t, "subuidless", "session", "exec", "--session", name, "--", "true").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	stopSessionsAfter(t)
	return name
}

// stopSessionsAfter stops all sessions at the end of the test.
func stopSessionsAfter(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if err := stopSessions(os.Getenv("XDG_RUNTIME_DIR")); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "subuidless")); err != nil {
			t.Error(err)
		}
	})
}

// TestSessionStatus runs commands in a session that exists: those that run, and those that cannot.
func TestSessionStatus(t *testing.T) {
	session, dir := newSession(t), t.TempDir()
	for name, mode := range map[string]os.FileMode{"script": 0o755, "closed": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/nonexistent\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		argv    []string
		status  int
		message string
	}{
		{[]string{"sh", "-c", "exit 3"}, 3, ""},
		{[]string{"sh", "-c", "kill -TERM $$"}, 143, ""},
		{[]string{"nosuch"}, 127, "nosuch: command not found (in PATH="},
		{[]string{""}, 127, ": command not found (in PATH="},
		{[]string{"./nosuch"}, 127, "./nosuch: no such file"},
		{[]string{"/etc"}, 126, "/etc: is a directory"},
		{[]string{"./closed"}, 126, "chmod +x"},
		{[]string{"closed"}, 126, "chmod +x"}, // found by PATH
		{[]string{"./script"}, 127, "its interpreter"},
	} {
		cmd := command(t, append([]string{"subuidless", "session", "exec", "--session", session, "--"}, tt.argv...)...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+os.Getenv("PATH")+":")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if status := cmd.ProcessState.ExitCode(); status != tt.status || !strings.Contains(string(out), tt.message) || (tt.message == "") != (len(out) == 0) {
			t.Errorf("%q: exit status %d, %q", tt.argv, status, out)
		}
	}
}

// TestStoppedSession stops the keeper of a session, which has no parent: the next command continues it.
func TestStoppedSession(t *testing.T) {
	session := newSession(t)
	keeper := supervisors(t, "subuidless-keeper", session)
	worker := supervisors(t, "subuidless-worker", session)
	if len(keeper) != 1 || len(worker) != 1 {
		t.Fatalf("keepers %v, workers %v", keeper, worker)
	}
	stopTogether(t, keeper[0], worker[0])
	var stderr strings.Builder
	cmd := command(t, "subuidless", "session", "ls")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if row := fmt.Sprintf("\n%s   %d   ", session, keeper[0]); !strings.Contains(string(out), row) || err != nil {
		t.Errorf("%s%v", out, err)
	}
	if said := stderr.String(); !strings.Contains(said, "continuing it") || !strings.Contains(said, session) {
		t.Errorf("it says %q", said)
	}
}

// TestSessionEnds kills the whole supervisor of a session in the same instant. Its undertakers, one for
// each command, end the commands, which say why, and no call gives ENOSYS. The next command says it, too.
func TestSessionEnds(t *testing.T) {
	session, dir := newSession(t), t.TempDir()
	var ends []func() string
	for range 2 {
		cmd := command(t, "subuidless", "session", "exec", "--session", session, "--", "sh", "-c", ": >f; echo ready; while chown 1:2 f; do :; done")
		var said strings.Builder
		cmd.Dir, cmd.Stderr = dir, &said
		_, out := startWithPipes(t, cmd)
		if line, err := out.ReadString('\n'); line != "ready\n" {
			t.Fatalf("%q, %v\n%s", line, err, said.String())
		}
		ends = append(ends, func() string {
			rest, err := io.ReadAll(out)
			_ = cmd.Wait()
			if len(rest) > 0 || err != nil || strings.Contains(said.String(), "not implemented") {
				t.Errorf("%q, %v\n%s", rest, err, said.String())
			}
			return said.String()
		})
	}
	eventually(t, "the undertakers of both commands", func() bool { return len(supervisors(t, "undertaker", session)) == 2 })
	killSupervisor(t, session)
	said := ""
	for _, end := range ends {
		said += end()
	}
	if strings.Count(said, "it ends, because nobody can answer") != 1 {
		t.Errorf("the commands say %q", said)
	}
	eventually(t, "the end of the undertakers", func() bool { return len(supervisors(t, "undertaker", session)) == 0 })
	out, err := command(t, "subuidless", "session", "exec", "--session", session, "--", "echo", "again").CombinedOutput()
	want := "subuidless: the supervisor of session " + session + " was killed: ending the 2 processes that it left behind\nagain\n"
	if !strings.Contains(string(out), "the supervisor of session "+session+" was killed: ending the ") || !strings.HasSuffix(string(out), "again\n") || err != nil {
		t.Errorf("%s%v", diff([]byte(want), out), err)
	}
}
