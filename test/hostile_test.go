package test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// hostileCalls returns how many random calls each of the containers makes, and a seed. The
// environment variable SUBUIDLESS_HOSTILE, "CALLS SEED", changes them.
func hostileCalls() []string {
	if s := strings.Fields(os.Getenv("SUBUIDLESS_HOSTILE")); len(s) == 2 {
		return s
	}
	return []string{"10000", "1"}
}

// hostileReport matches what the program hostile prints at the end.
var hostileReport = regexp.MustCompile(`(?m)^\d+ calls, .*$`)

// TestHostile makes random system calls of all ABIs, as root and as a user. Whatever they do to
// their own processes, the supervisor must go on, and change nothing else.
func TestHostile(t *testing.T) {
	needs(t, "busybox", "cc")
	for name, user := range map[string]string{"root": "0", "user": "1000"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(work("tmp"), "hostile-"+name)
			root, scratch, canary := filepath.Join(dir, "root"), filepath.Join(dir, "scratch"), filepath.Join(dir, "canary")
			t.Cleanup(func() {
				if err := removeAll(dir); err != nil {
					t.Error(err)
				}
			})
			for _, d := range []string{dir, scratch, canary} {
				if err := os.Mkdir(d, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := makeRootfs(root); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(root, "scratch"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := copyFile(filepath.Join(root, "bin", "hostile"), filepath.Join(work("bin"), "hostile")); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(canary, "file"), []byte("sings\n"), 0o640); err != nil {
				t.Fatal(err)
			}
			// The first container makes the mount points that are missing.
			if out, err := command(t, "subuidless", "run", root, "--", "true").CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			before := states(t, root, canary)

			args := append([]string{"subuidless", "run", "--read-only", "--volume", scratch + ":/scratch", root, "--", "sh", "-c",
				`hostile "$@" && cd /scratch && touch afterwards && chown 42:43 afterwards && stat -c "%u:%g, %F" afterwards`, "sh"}, hostileCalls()...)
			cmd := command(t, append(args, user)...)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%.4000s", err, out)
			}
			t.Logf("%s", hostileReport.Find(out))
			if !hostileReport.Match(out) || !strings.Contains(string(out), "42:43, regular") {
				t.Errorf("the container does not work any more:\n%.4000s", out)
			}
			if regexp.MustCompile("the worker died|the worker hangs|panic|SIGSEGV").Match(out) {
				t.Errorf("the supervisor suffers:\n%.8000s", out)
			}
			if now := states(t, root, canary); now != before {
				t.Errorf("before:\n%safterwards:\n%s", before, now)
			}
		})
	}
}

// states lists the files of some directories with what a call could have changed, except for
// times of access.
func states(t *testing.T, dirs ...string) string {
	t.Helper()
	var b strings.Builder
	for _, dir := range dirs {
		for _, path := range tree(dir) {
			info, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			st := info.Sys().(*syscall.Stat_t)
			fmt.Fprintln(&b, path, info.Mode(), st.Uid, st.Gid, st.Nlink, info.Size(), info.ModTime(), st.Ctim)
		}
	}
	return b.String()
}
