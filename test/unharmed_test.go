package test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// unharmedTests are the tests of testdata/src/unharmed.c.
var unharmedTests = []string{
	"stop", "attach", "step", "die", "dlclose", "text", "prctl", "interrupted", "identities", "setuid", "records",
}

// TestUnharmed does to accelerated programs what others may do to them, and what they may do to
// themselves, with each kind of executable.
func TestUnharmed(t *testing.T) {
	needs(t, "musl-gcc")
	prefix := accelerated(t)
	dir := openDirectory(t)
	library := filepath.Join(dir, "library.so")
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-O1", "-o", library, "testdata/src/library/library.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, compiler := range map[string][]string{"dynamic": {"gcc"}, "static-pie": {"gcc", "-static-pie", "-Wl,--no-warnings"}, "musl": {"musl-gcc", "-static"}} {
		program := compileWithRoom(t, filepath.Join(dir, name), "testdata/src/unharmed.c", compiler...)
		for _, test := range unharmedTests {
			if test == "dlclose" && name != "dynamic" {
				continue
			}
			t.Run(name+"/"+test, func(t *testing.T) {
				cmd := command(t, append(prefix, program, test, "0.2")...)
				cmd.Dir = openDirectory(t)
				cmd.Env = append(os.Environ(), "SUBUIDLESS_ACCELERATED=1", "LIBRARY="+library)
				checkOK(t, cmd)
			})
		}
	}
}

// TestUnharmedByTracers runs the programs that look at others: those are accelerated, or not, and work.
func TestUnharmedByTracers(t *testing.T) {
	needs(t, "gdb", "strace")
	prefix := accelerated(t)
	for name, tracer := range map[string][]string{
		"strace": {"strace", "-f", "-o", "strace.txt"},
		"gdb":    {"gdb", "-nx", "-q", "-batch", "-ex", "break exit", "-ex", "run", "-ex", "continue", "-ex", "quit $_exitcode", "--args"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := command(t, append(append(prefix, tracer...), "accelerated", "calls")...)
			cmd.Dir = openDirectory(t)
			if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "ok\n") {
				t.Errorf("%v\n%.4000s", err, out)
			}
		})
	}
}

// TestAcceleratedWithWorkersKilled kills the worker at any instant of accelerations.
func TestAcceleratedWithWorkersKilled(t *testing.T) {
	dir := ownedTree(t)
	for name, walker := range walkers {
		t.Run(name, func(t *testing.T) {
			walkAmidKills(t, dir, walker, deaths, func(cmd *exec.Cmd, stop func()) error {
				const duration = 2 * time.Second
				ended := make(chan error, 1)
				go func() { ended <- killWorkers(t, cmd, duration, 0, 20*time.Millisecond) }()
				select {
				case err := <-ended: // too early
					return err
				case <-time.After(duration):
				}
				stop()
				return <-ended
			})
		})
	}
}

// TestAcceleratedWithKeepersKilled kills the keeper.
func TestAcceleratedWithKeepersKilled(t *testing.T) {
	walkAmidKills(t, ownedTree(t), walkers["copies"], keeperDeaths, func(cmd *exec.Cmd, stop func()) error {
		c := &chowner{t: t, id: fmt.Sprintf("exec-%d", cmd.Process.Pid)}
		killed := map[int]bool{}
		start := time.Now()
		for time.Since(start) < 2*time.Second || len(killed) < 5 && time.Since(start) < patience {
			for _, pid := range c.processes("subuidless-keeper") {
				killed[pid] = true
				if err := unix.Kill(pid, unix.SIGKILL); err != nil && err != unix.ESRCH {
					t.Errorf("killing keeper %d: %v", pid, err)
				}
			}
			time.Sleep(rand.N(20 * time.Millisecond))
		}
		if len(killed) < 5 {
			t.Errorf("%d keepers killed, want more", len(killed))
		}
		stop()
		return cmd.Wait()
	})
}

// keeperDeaths is deaths for keepers.
var keeperDeaths = regexp.MustCompile(`(?m)^.*(the keeper died|the new keeper does not work).*\n`)

// walkAmidKills lets an accelerated walker look at dir again and again, while kill ends processes of its
// supervisor, and compares what it sees. Kill calls stop, which ends that, and waits for the command,
// which prints nothing else than messages.
func walkAmidKills(t *testing.T, dir string, walker []string, messages *regexp.Regexp, kill func(cmd *exec.Cmd, stop func()) error) {
	t.Helper()
	needsCommand(t, walker[0])
	want := walk(t, dir, append([]string{"subuidless", "exec", "--"}, walker...)...)
	const script = `until test -e "$STOP"; do "$@" >"$OUT" || exit; cmp "$OUT" "$WANT" || exit; done`
	files := openDirectory(t)
	expected, output, stopped := filepath.Join(files, "want"), filepath.Join(files, "out"), filepath.Join(files, "stop")
	if err := os.WriteFile(expected, want, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, append(append(accelerated(t), "sh", "-c", script, "sh"), walker...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "OUT="+output, "WANT="+expected, "STOP="+stopped)
	said := startUntil(t, cmd, output) // a supervisor that dies before is an error
	err := kill(cmd, func() {
		if err := os.WriteFile(stopped, nil, 0o644); err != nil {
			t.Error(err)
		}
	})
	if rest := messages.ReplaceAllString(said.String(), ""); err != nil || rest != "" {
		t.Errorf("%v\n%.4000s", err, rest)
	}
}

// TestEINTR runs the reproduction of docs/internals/eintr.md.
func TestEINTR(t *testing.T) {
	needs(t, "cc")
	program := filepath.Join(t.TempDir(), "eintr")
	if out, err := exec.Command("gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, "docs/internals/eintr/eintr.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	result := regexp.MustCompile(`^[0-9]+ of [0-9]+ calls failed with EINTR\n$`)
	for _, flag := range []string{"none", "recv"} {
		if out, err := exec.Command(program, flag, "0.2").CombinedOutput(); err != nil || !result.Match(out) {
			t.Errorf("%s: %v\n%s", flag, err, out)
		}
	}
}
