package test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// walks are programs in testdata/src/walk, in languages and with tools that make calls in ways of their
// own. Prepare runs in a copy of that directory, which is $W in run. Programs whose compiler or tool is
// rare are run where that is installed: see make unharmed.
var walks = map[string]struct {
	prepare, run string
	rare         string
}{
	"address sanitizer":   {"gcc -O1 -g -fsanitize=address -o asan walk.c", `"$W/asan"`, ""},
	"undefined sanitizer": {"gcc -O1 -g -fsanitize=undefined -fno-sanitize-recover -o ubsan walk.c", `"$W/ubsan"`, ""},
	"thread sanitizer":    {"gcc -O1 -g -fsanitize=thread -o tsan walk.c", `"$W/tsan"`, ""},
	"python":              {"", `python3 "$W/walk.py"`, ""},
	"java":                {"javac Walk.java", `java -cp "$W" Walk`, "javac"},
	"node":                {"", `node "$W/walk.js"`, "node"},
	"rust":                {"rustc -O -o rust walk.rs", `"$W/rust"`, "rustc"},
	"valgrind":            {"gcc -O1 -g -o walk walk.c", `valgrind -q --error-exitcode=1 "$W/walk"`, "valgrind"},
	"perf":                {"gcc -O1 -g -o walk walk.c", `perf record -q -e cpu-clock -o "$W/perf.data" "$W/walk" && perf report -i "$W/perf.data" >"$W/perf.txt" 2>&1`, "perf"},
}

// TestUnharmedPrograms runs each of these programs twice in one container, the second time with the code
// from its first call on, and compares what it prints.
func TestUnharmedPrograms(t *testing.T) {
	needs(t, "python3")
	prefix := accelerated(t)
	dir := ownedTree(t)
	for name, w := range walks {
		if _, err := exec.LookPath(w.rare); w.rare != "" && err != nil {
			t.Logf("%s: not run: %v", name, err)
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			copied := openDirectory(t)
			if err := os.CopyFS(copied, os.DirFS("testdata/src/walk")); err != nil {
				t.Fatal(err)
			}
			prepare := exec.Command("sh", "-ec", w.prepare)
			prepare.Dir = copied
			if out, err := prepare.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			trace := filepath.Join(t.TempDir(), "trace")
			script := []string{"env", "W=" + copied, "sh", "-ec", "for i in 1 2; do " + w.run + "; done"}
			want := walk(t, dir, append([]string{"subuidless", "exec", "--trace", trace, "--"}, script...)...)
			got := walk(t, dir, slices.Concat(prefix[:len(prefix)-1], []string{"--trace", trace + "2", "--"}, script)...)
			if len(want) == 0 || !bytes.Equal(got, want) {
				t.Errorf("sees something else:\n%.4000s", diff(want, got))
			}
			t.Logf("%d notifications, otherwise %d", lines(t, trace+"2"), lines(t, trace))
		})
	}
}
