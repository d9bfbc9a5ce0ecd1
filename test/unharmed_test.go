package test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// unharmedTests are the tests of testdata/src/unharmed.c.
var unharmedTests = []string{
	"stop", "attach", "step", "die", "dlclose", "text", "prctl", "interrupted", "identities", "setuid", "records", "locks", "checksum",
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
			if (test == "dlclose" || test == "checksum") && name != "dynamic" { // what is static is patched
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

// kills returns how many workers, and how many keepers, make unharmed wants to be killed at least. 0: as many
// as there are in two seconds for each program.
func kills(t *testing.T) int {
	t.Helper()
	text := os.Getenv("SUBUIDLESS_KILLS")
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("SUBUIDLESS_KILLS: %v", err)
	}
	return n
}

// building is a walker for make unharmed: it takes long where processes are many.
var building = []string{"sh", "-ec", `d=$(mktemp -d); cd "$d"; for i in 1 2 3 4 5 6 7 8; do echo "int f$i(void) { return $i; }" >f$i.c; done
	printf 'all: f1.o f2.o f3.o f4.o f5.o f6.o f7.o f8.o\n' >Makefile; make -s -j2; nm *.o; cd /; rm -r "$d"`}

// TestAcceleratedWithWorkersKilled kills the worker at any instant of accelerations.
func TestAcceleratedWithWorkersKilled(t *testing.T) {
	dir := ownedTree(t)
	all := maps.Clone(walkers)
	if kills(t) > 0 {
		all["make"] = building
	}
	for name, walker := range all {
		t.Run(name, func(t *testing.T) {
			walkAmidKills(t, dir, walker, kills(t)/len(all), deaths, func(cmd *exec.Cmd, stop func()) (killed int, err error) {
				const duration = 2 * time.Second
				ended := make(chan struct{})
				go func() {
					killed, err = killWorkers(t, cmd, duration, 0, 20*time.Millisecond)
					close(ended)
				}()
				select {
				case <-ended: // too early
					return killed, err
				case <-time.After(duration):
				}
				stop()
				<-ended
				return killed, err
			})
		})
	}
}

// TestAcceleratedWithKeepersKilled kills the keeper.
func TestAcceleratedWithKeepersKilled(t *testing.T) {
	walkAmidKills(t, ownedTree(t), walkers["copies"], kills(t), keeperDeaths, func(cmd *exec.Cmd, stop func()) (int, error) {
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
		return len(killed), cmd.Wait()
	})
}

// keeperDeaths is deaths for keepers.
var keeperDeaths = regexp.MustCompile(`(?m)^.*(the keeper died|the new keeper does not work).*\n`)

// walkAmidKills lets an accelerated walker look at dir again and again, while kill ends processes of its
// supervisor, and compares what it sees. Kill calls stop, which ends that, and waits for the command,
// which prints nothing else than messages. It returns how many processes it has ended, and is called until
// these are at least as many.
func walkAmidKills(t *testing.T, dir string, walker []string, least int, messages *regexp.Regexp, kill func(cmd *exec.Cmd, stop func()) (int, error)) {
	t.Helper()
	needsCommand(t, walker[0])
	want := walk(t, dir, append([]string{"subuidless", "exec", "--"}, walker...)...)
	const script = `until test -e "$STOP"; do "$@" >"$OUT" || exit; cmp "$OUT" "$WANT" || exit; done`
	files := openDirectory(t)
	expected, output, stopped := filepath.Join(files, "want"), filepath.Join(files, "out"), filepath.Join(files, "stop")
	if err := os.WriteFile(expected, want, 0o644); err != nil {
		t.Fatal(err)
	}
	for killed := 0; ; {
		cmd := command(t, append(append(accelerated(t), "sh", "-c", script, "sh"), walker...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "OUT="+output, "WANT="+expected, "STOP="+stopped)
		said := startUntil(t, cmd, output)
		n, err := kill(cmd, func() {
			if err := os.WriteFile(stopped, nil, 0o644); err != nil {
				t.Error(err)
			}
		})
		if rest := messages.ReplaceAllString(said.String(), ""); err != nil || rest != "" {
			t.Errorf("%v\n%.4000s", err, rest)
		}
		if killed += n; killed >= least || t.Failed() {
			break
		}
		for _, name := range []string{output, stopped} {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
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
