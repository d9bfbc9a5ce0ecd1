package test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The scripts in testdata/suites run the test suites of programs that exercise many
// system calls, and print the result of each test. As root and as another user in a
// container of subuidless, the results must be those of real root and a real user in
// a chroot, except for those listed in the table in docs/suites.md.

// suitesTar is the root file system of the suites. test/mkrootfs-suites12 builds it.
const suitesTar = "suites12.tar"

// suitesVar is the environment variable that selects the tests of the suites: "all",
// or by default the quick ones.
const suitesVar = "SUBUIDLESS_SUITES"

// suiteTimeout limits one suite, run by one user.
const suiteTimeout = time.Hour

// suite is a script in testdata/suites.
type suite struct {
	name  string
	quick []string // the arguments that select the quick tests
}

var suites = []suite{
	{name: "acl"},
	{name: "attr"},
	{name: "python"},
	// Without those that read gigabytes of holes.
	{"tar", []string{"1-63", "65-166", "168", "170-"}},
	{"coreutils", []string{
		"chgrp/", "chmod/", "chown/", "df/", "id/", "install/", "mkdir/", "touch/",
		"cp/", "du/", "ls/", "mv/", "rm/", "rmdir/", "misc/chroot", "misc/ls-", "misc/stat", "misc/mknod", "misc/truncate-owned-by-other",
	}},
}

// suiteUsers are the names, in the root file system, of the users that run them.
var suiteUsers = []string{"root", "tester"}

// command returns the command that runs the suite in the container, as a user.
func (s suite) command(user string) []string {
	argv := []string{"/bin/sh", "-eu", "/test/" + s.name + ".sh", user}
	if os.Getenv(suitesVar) == "all" {
		return argv
	}
	return append(argv, s.quick...)
}

// run runs the suite as a user in a root file system that has the scripts in /test.
// It returns a line for each test: the result, a space, and the name.
func (s suite) run(rootfs, user string, in container) ([]byte, error) {
	var out bytes.Buffer
	if stderr, err := runTimed(&out, suiteTimeout, in, rootfs, s.command(user)...); err != nil {
		return nil, fmt.Errorf("%s as %s: %w\n%s%s", s.name, user, err, stderr, out.Bytes())
	}
	if out.Len() == 0 {
		return nil, fmt.Errorf("%s as %s ran no test", s.name, user)
	}
	return out.Bytes(), nil
}

// result holds the results of a test on the real system and in a container, in the
// suites' own words.
type result struct{ real, emulated string }

func TestSuites(t *testing.T) {
	needs(t, "suites")
	expected, err := expectedDifferences(work("docs", "suites.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Cleanup(func() {
		// The suites create directories that t.TempDir cannot remove.
		if err := removeAll(dir); err != nil {
			t.Error(err)
		}
	})
	subuidless(t, "exec", "--", "tar", "-C", dir, "--exclude=./dev/*", "-xpf", work(suitesTar))
	if err := os.CopyFS(filepath.Join(dir, "test"), os.DirFS(work("testdata", "suites"))); err != nil {
		t.Fatal(err)
	}
	for _, s := range suites {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel() // tar's tests wait most of the time
			for _, user := range suiteUsers {
				t.Run(user, func(t *testing.T) { s.test(t, dir, user, expected[s.name+" "+user]) })
			}
		})
	}
}

// test compares the results of the suite, run by a user, in a container with those on
// the real system.
func (s suite) test(t *testing.T, rootfs, user string, expected map[string]result) {
	real, err := os.ReadFile(work("expected", "suites", s.name+"-"+user))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip(needsRoot)
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.run(rootfs, user, supervised)
	if err != nil {
		t.Fatal(err)
	}
	if compareResults(t, results(real, got), expected); t.Failed() {
		log, err := os.ReadFile(filepath.Join(rootfs, "test", s.name+".log"))
		t.Logf("%s%v", log, err)
	}
}

// results joins two lists of results by the names of the tests.
func results(real, emulated []byte) map[string]result {
	all := map[string]result{}
	for line := range strings.Lines(string(real)) {
		outcome, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		all[name] = result{outcome, "none"}
	}
	for line := range strings.Lines(string(emulated)) {
		outcome, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		r, both := all[name]
		if !both {
			r.real = "none"
		}
		r.emulated = outcome
		all[name] = r
	}
	return all
}

// compareResults fails the test unless exactly the expected results differ.
func compareResults(t *testing.T, all, expected map[string]result) {
	var wrong []string
	for name, r := range all {
		switch e, listed := expected[name]; {
		case listed && r != e:
			wrong = append(wrong, fmt.Sprintf("%s: %s for real, %s in a container; docs/suites.md has %s and %s", name, r.real, r.emulated, e.real, e.emulated))
		case !listed && r.real != r.emulated:
			wrong = append(wrong, fmt.Sprintf("%s: %s for real, %s in a container", name, r.real, r.emulated))
		}
	}
	slices.Sort(wrong)
	if len(wrong) > 0 {
		t.Errorf("%d of %d tests:\n%s", len(wrong), len(all), strings.Join(wrong, "\n"))
	}
}

// expectedDifferences reads the table in docs/suites.md: suite, user, test, result on
// the real system, result in a container, reason. The keys of the returned map are
// "SUITE USER" and the test's name.
func expectedDifferences(file string) (map[string]map[string]result, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	expected := map[string]map[string]result{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		row := strings.Split(lines.Text(), "|")
		for i := range row {
			row[i] = strings.Trim(row[i], " `")
		}
		if len(row) != 8 || !slices.ContainsFunc(suites, func(s suite) bool { return s.name == row[1] }) {
			continue
		}
		if row[6] == "" {
			return nil, fmt.Errorf("%s: %s has no reason", file, row[3])
		}
		of := row[1] + " " + row[2]
		if expected[of] == nil {
			expected[of] = map[string]result{}
		}
		expected[of][row[3]] = result{row[4], row[5]}
	}
	return expected, nil
}
