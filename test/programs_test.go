package test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The programs in testdata/programs print what system calls return. Under
// subuidless, each must print what it prints when real root runs it.

// programsDir is the directory of the programs.
func programsDir(work string) string { return filepath.Join(work, "testdata", "programs") }

// ownProcesses runs a command in a new PID namespace, whose processes are the only ones that the
// command can change: all of a user, for example. Its init waits for it.
var ownProcesses = []string{"unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", `"$0" "$@"; exit $?`}

// runProgramsAsRoot runs the programs as real root and stores their output in the
// directory "expected".
func runProgramsAsRoot(work string) error {
	programs, err := programs(work)
	if err != nil {
		return err
	}
	expected := filepath.Join(work, "expected")
	if err := os.Mkdir(expected, 0o755); err != nil {
		return err
	}
	for _, program := range programs {
		needed, err := neededBy(program)
		if err != nil {
			return err
		}
		if _, missing := unmet(needed...); missing {
			continue // the test is skipped, with the reason
		}
		out, err := runProgram(work, program, ownProcesses...)
		if err != nil {
			return fmt.Errorf("%s as root: %w\n%s", program, err, out)
		}
		if err := os.WriteFile(filepath.Join(expected, filepath.Base(program)), out, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// programs returns the paths of the programs: shell scripts, and C programs unless
// there is no compiler.
func programs(work string) ([]string, error) {
	sources, err := filepath.Glob(filepath.Join(programsDir(work), "*.*"))
	if err != nil {
		return nil, err
	}
	var programs []string
	for _, source := range sources {
		switch filepath.Ext(source) {
		case ".sh":
			programs = append(programs, source)
		case ".c":
			program := strings.TrimSuffix(source, ".c")
			if _, err := os.Stat(program); err == nil {
				programs = append(programs, program)
			}
		}
	}
	return programs, nil
}

// neededBy returns the requirements of a shell script, from its line
// "# Needs: REQUIREMENT...".
func neededBy(program string) ([]string, error) {
	if filepath.Ext(program) != ".sh" {
		return nil, nil
	}
	b, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	_, rest, _ := strings.Cut(string(b), "\n# Needs: ")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.Fields(line), nil
}

// runProgram runs a program in a new directory in parent, with prefix before its
// command, and returns its output.
func runProgram(parent, program string, prefix ...string) ([]byte, error) {
	dir, err := os.MkdirTemp(parent, "program-")
	if err != nil {
		return nil, err
	}
	defer removeAll(dir)
	argv := []string{program}
	if strings.HasSuffix(program, ".sh") {
		argv = []string{"sh", "-eu", program}
	}
	argv = slices.Concat(prefix, argv)
	ctx, cancel := limited(context.Background())
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.WaitDelay = patience
	return cmd.CombinedOutput()
}

func TestPrograms(t *testing.T) {
	programs, err := programs(work())
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range programs {
		t.Run(filepath.Base(program), func(t *testing.T) {
			needed, err := neededBy(program)
			if err != nil {
				t.Fatal(err)
			}
			needs(t, needed...)
			want, err := os.ReadFile(work("expected", filepath.Base(program)))
			if os.IsNotExist(err) {
				t.Skip(needsRoot)
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := runProgram(work("tmp"), program, "subuidless", "exec", "--")
			if err != nil {
				t.Errorf("%v\n%s", err, got)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("differs from the output of real root:\n%s", diff(want, got))
			}
		})
	}
}

// diff lists the lines that differ. The programs print one line per call.
func diff(want, got []byte) string {
	wants, gots := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	var b strings.Builder
	for i := range max(len(wants), len(gots)) {
		var w, g string
		if i < len(wants) {
			w = wants[i]
		}
		if i < len(gots) {
			g = gots[i]
		}
		if w != g {
			fmt.Fprintf(&b, "root:       %s\nsubuidless: %s\n", w, g)
		}
	}
	return b.String()
}
