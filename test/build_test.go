package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// acceleratedVar is an environment variable: if it is a number, all tests run with
// --accelerate=on and this --accelerate-after, or with --accelerate=off if it is 0.
const acceleratedVar = "SUBUIDLESS_TEST_ACCELERATE"

// build builds subuidless and the programs in testdata/src in the directory bin,
// which the tests have in their PATH, and the programs in testdata/programs next
// to their sources.
func build(work string) error {
	bin := filepath.Join(work, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(bin, "tests"), "/proc/self/exe"); err != nil {
		return err
	}
	builds := [][]string{
		{"../cmd/build", filepath.Join(bin, "subuidless"), "-buildvcs=false", "-ldflags=-X github.com/rootless-containers/subuidless/cmd/internal/cli.accelerateFrom=" + os.Getenv(acceleratedVar)},
		{"go", "build", "-buildvcs=false", "-o", bin, "./busclient"},
		{"go", "build", "-buildvcs=false", "-o", bin, "./answers"},
		{"go", "build", "-buildvcs=false", "-o", bin, "./testdata/src/gochown"},
		{"go", "build", "-buildvcs=false", "-trimpath", "-o", bin, "./testdata/src/goids"},
		{"go", "build", "-buildvcs=false", "-o", bin, "./testdata/src/gouser"},
		{"go", "build", "-buildvcs=false", "-o", bin, "./testdata/src/gostorm"},
		{"go", "build", "-buildvcs=false", "-o", bin, "./testdata/src/gowalk"},
	}
	if canLink() {
		for dir, out := range map[string]string{"testdata/src": bin, "testdata/programs": programsDir(work)} {
			sources, err := filepath.Glob(filepath.Join(dir, "*.c"))
			if err != nil {
				return err
			}
			for _, source := range sources {
				builds = append(builds, compile(source, out)...)
			}
		}
	}
	for _, argv := range builds {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, out)
		}
	}
	return nil
}

// compile returns the command that compiles a C program into dir, or none if this
// machine cannot compile it.
func compile(source, dir string) [][]string {
	name := strings.TrimSuffix(filepath.Base(source), ".c")
	argv := []string{"gcc", "-static", "-O1", "-o", filepath.Join(dir, name), source}
	if strings.HasSuffix(name, "_i386") {
		if !canLink("-m32") {
			return nil
		}
		argv = append(argv, "-m32")
	}
	return [][]string{argv}
}

// canLink reports whether gcc is installed and can link static programs with the
// given flags.
func canLink(flags ...string) bool {
	cmd := exec.Command("gcc", append(flags, "-static", "-x", "c", "-o", "/dev/null", "-")...)
	cmd.Stdin = strings.NewReader("int main(void) { return 0; }")
	return cmd.Run() == nil
}

func copyFile(dst, src string) error {
	b, err := os.ReadFile(src)
	if err != nil {
		return err
	}
	return os.WriteFile(dst, b, 0o755)
}
