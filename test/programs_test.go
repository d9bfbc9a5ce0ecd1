package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The programs in testdata/programs print what system calls return. Real root
// and the user under subuidless must see the same, so each must print the
// same thing.

// programsDir is the directory of the programs.
func programsDir(work string) string { return filepath.Join(work, "testdata", "programs") }

// runProgramsAsRoot runs them as real root, and keeps what they print in the directory
// "answers".
func runProgramsAsRoot(work string) error {
	questions, err := questions(work)
	if err != nil {
		return err
	}
	answers := filepath.Join(work, "answers")
	if err := os.Mkdir(answers, 0o755); err != nil {
		return err
	}
	for _, q := range questions {
		needed, err := neededBy(q)
		if err != nil {
			return err
		}
		if _, lacks := lacking(needed...); lacks {
			continue // the test is skipped, and says why
		}
		out, err := ask(work, q)
		if err != nil {
			return fmt.Errorf("%s as root: %w\n%s", q, err, out)
		}
		if err := os.WriteFile(filepath.Join(answers, filepath.Base(q)), out, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// questions returns the programs: shell scripts, and C programs, which were
// built unless there is no compiler.
func questions(work string) ([]string, error) {
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

// neededBy returns the parts that a shell script needs: they are in its line "# Needs: PART...".
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

// ask runs a program in an empty directory in parent, behind the command prefix.
func ask(parent, program string, prefix ...string) ([]byte, error) {
	dir, err := os.MkdirTemp(parent, "program-")
	if err != nil {
		return nil, err
	}
	defer removeAll(dir)
	argv := append(prefix, program)
	if strings.HasSuffix(program, ".sh") {
		argv = append(prefix, "sh", "-eu", program)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	return cmd.CombinedOutput()
}

func TestPrograms(t *testing.T) {
	questions, err := questions(work())
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range questions {
		t.Run(filepath.Base(q), func(t *testing.T) {
			needed, err := neededBy(q)
			if err != nil {
				t.Fatal(err)
			}
			needs(t, needed...)
			want, err := os.ReadFile(work("answers", filepath.Base(q)))
			if os.IsNotExist(err) {
				t.Skip("needs the results of real root: run the tests as root")
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := ask(work("tmp"), q, "subuidless", "exec", "--")
			if err != nil {
				t.Errorf("%v\n%s", err, got)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("differs from what real root gets:\n%s", diff(want, got))
			}
		})
	}
}

// diff lists the lines that differ; the programs print one line per call.
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
