package test

import (
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWorkerKilledWhileOthersCreate kills the worker again and again while a user
// who is not root unpacks an archive. With --keep-old-files tar fails where a file
// exists, so it must not be told of a file that a dead worker has made for it.
func TestWorkerKilledWhileOthersCreate(t *testing.T) {
	const files, kills = 10_000, 20
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "subuidless", "exec", "--", "sh", "-ec",
		`chmod 777 "$1"; exec setpriv --reuid 1000 --regid 1001 --clear-groups tar -C "$1" --keep-old-files --no-same-owner -xf -`, "sh", dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var messages strings.Builder
	cmd.Stdout, cmd.Stderr = &messages, &messages
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	victim := 0
	want, err := writeArchive(stdin, files, func(i int) {
		if i%(files/kills) == files/kills/2 {
			victim = nextWorker(t, cmd.Process.Pid, victim)
			if err := unix.Kill(victim, unix.SIGKILL); err != nil {
				t.Errorf("killing worker %d: %v", victim, err)
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
	if err := stdin.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("tar: %v\n%s", err, messages.String())
	}
	if said := strings.Count(messages.String(), "the worker died"); said != kills {
		t.Errorf("%d messages about dead workers, want %d:\n%s", said, kills, messages.String())
	}
	for name := range want {
		want[name] = "1000:1001"
	}
	got := owners{}
	for line := range strings.Lines(subuidless(t, "exec", "--", "find", dir, "-mindepth", "1", "-printf", "%P %U:%G\n")) {
		name, owner, _ := strings.Cut(strings.TrimSpace(line), " ")
		got[name] = owner
	}
	want.compare(t, got)
}
