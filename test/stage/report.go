package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// lastLines is how many lines of a failed command, and from the beginning and the end of
// the output of a failed test, are shown.
const lastLines = 40

// report reads the output of a stage and shows what matters of it. Its methods may be
// called concurrently.
type report struct {
	mu     sync.Mutex
	screen io.Writer
	name   string
	begun  bool // the cursor is behind the name

	recent []string // the last lines that are not events of go test
	latest string   // what the stage or a package printed last

	passed, skipped int
	running         map[test]bool
	output          map[test][]string // of tests that have not passed
	failed          []test
}

// test names a test of a package. The name is empty for the package itself.
type test struct{ pkg, name string }

// event is what go test -json prints in each line: see go doc test2json.
type event struct {
	Action, Package, Test, Output string
}

func newReport(screen io.Writer, name string) *report {
	fmt.Fprintf(screen, "%s ...", name)
	return &report{screen: screen, name: name, begun: true, running: map[test]bool{}, output: map[test][]string{}}
}

// print shows a line.
func (r *report) print(line string) {
	if r.begun {
		fmt.Fprintln(r.screen)
		r.begun = false
	}
	fmt.Fprintln(r.screen, line)
}

// line takes a line of the output of the stage.
func (r *report) line(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var e event
	if json.Unmarshal(b, &e) != nil || e.Action == "" {
		r.plain(string(b))
		return
	}
	t := test{e.Package, e.Test}
	switch e.Action {
	case "run", "cont":
		r.running[t] = true
	case "pause":
		delete(r.running, t)
	case "output":
		r.testOutput(t, strings.TrimSuffix(e.Output, "\n"))
	case "build-output":
		r.plain(strings.TrimSuffix(e.Output, "\n"))
	case "pass", "skip", "fail":
		r.result(t, e.Action)
	}
}

// plain takes a line that belongs to no test.
func (r *report) plain(line string) {
	r.latest = line
	r.recent = append(r.recent, line)
	if len(r.recent) > lastLines {
		r.recent = r.recent[1:]
	}
}

// testOutput takes a line of the output of a test. go test prints one line about each
// package, which is shown at once if there are tests in it.
func (r *report) testOutput(t test, line string) {
	switch ofPackage := t.name == ""; {
	case ofPackage && (line == "PASS" || line == "FAIL"):
	case ofPackage && strings.HasPrefix(line, "ok  \t"):
		r.print(line)
	case ofPackage && strings.HasPrefix(line, "FAIL\t"):
		r.failures(t.pkg)
		r.print(line)
	default:
		r.output[t] = append(r.output[t], line)
		if ofPackage {
			r.latest = line
		}
	}
}

func (r *report) result(t test, result string) {
	delete(r.running, t)
	switch {
	case t.name == "":
	case result == "fail":
		r.failed = append(r.failed, t)
		return // its output is shown with the package
	case result == "skip":
		r.skipped++
	default:
		r.passed++
	}
	delete(r.output, t)
}

// failures shows the output of the tests of a package that have failed or not ended, and
// of the package itself.
func (r *report) failures(pkg string) {
	byName := func(a, b test) int { return strings.Compare(a.name, b.name) }
	unended := slices.SortedFunc(maps.Keys(r.running), byName)
	for _, t := range slices.Concat(r.failed, unended, []test{{pkg: pkg}}) {
		if t.pkg == pkg {
			for _, line := range excerpt(r.output[t]) {
				r.print(line)
			}
			delete(r.output, t)
			delete(r.running, t)
		}
	}
}

// excerpt returns the beginning and the end of lines.
func excerpt(lines []string) []string {
	left := len(lines) - 2*lastLines
	if left <= 0 {
		return lines
	}
	note := fmt.Sprintf("    ... %d lines omitted ...", left)
	return slices.Concat(lines[:lastLines], []string{note}, lines[len(lines)-lastLines:])
}

// progress shows what the stage does at present.
func (r *report) progress(elapsed time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.latest
	if leaves := r.leaves(); len(leaves) > 0 {
		now = strings.Join(leaves, ", ")
	}
	r.print(fmt.Sprintf("  %v: %.100s%s", elapsed.Round(time.Second), now, r.counts()))
}

// leaves are the names of the running tests that have no running subtest.
func (r *report) leaves() []string {
	var names []string
	for t := range r.running {
		isParent := func(other test) bool { return other.pkg == t.pkg && strings.HasPrefix(other.name, t.name+"/") }
		if !slices.ContainsFunc(slices.Collect(maps.Keys(r.running)), isParent) {
			names = append(names, t.name)
		}
	}
	slices.Sort(names)
	return names
}

// counts are the numbers of tests, in parentheses, or "" if there are none.
func (r *report) counts() string {
	if r.passed+r.skipped+len(r.failed) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d passed, %d skipped)", r.passed, r.skipped)
}

// finish shows the result of the stage. If it failed without a failed test, it shows the
// last lines of the output first; otherwise, the names of the failed tests.
func (r *report) finish(ok bool, elapsed time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !ok && len(r.failed) == 0 {
		for _, line := range r.recent {
			r.print(line)
		}
	}
	for _, t := range r.failed {
		r.print(fmt.Sprintf("FAIL: %s %s", t.pkg, t.name))
	}
	result := "ok"
	if !ok {
		result = "FAILED"
	}
	if !r.begun {
		fmt.Fprintf(r.screen, "%s ...", r.name)
	}
	fmt.Fprintf(r.screen, " %s %.1fs%s\n", result, elapsed.Seconds(), r.counts())
}
