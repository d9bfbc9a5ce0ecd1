package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The scripts in testdata/services run services and tools of Debian, and print the
// owners of files and processes. NAME.sh, and then NAME.again.sh in a fresh container
// with the same root file system, must print what they print for real root in a
// chroot.

// servicesTar is the root file system of the scripts.
const servicesTar = "services12.tar"

// scriptTimeout is many times what any of the scripts takes on an idle machine.
const scriptTimeout = 10 * time.Minute

func TestServices(t *testing.T) {
	needs(t, "services", "cc")
	names, err := serviceScripts(work())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Cleanup(func() {
		// Services create directories that t.TempDir cannot remove.
		if err := removeAll(dir); err != nil {
			t.Error(err)
		}
	})
	base := filepath.Join(dir, "base")
	if err := os.Mkdir(base, 0o755); err != nil {
		t.Fatal(err)
	}
	subuidless(t, "exec", "--", "tar", "-C", base, "--exclude=./dev/*", "-xpf", work(servicesTar))
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expected := work("expected", "services", name)
			want, err := os.ReadFile(expected)
			if errors.Is(err, os.ErrNotExist) {
				t.Skip(needsRoot)
			}
			if err != nil {
				t.Fatal(err)
			}
			rootfs := filepath.Join(dir, name)
			subuidless(t, "exec", "--", "cp", "-a", base, rootfs)
			got, err := runScript(work(), rootfs, name, supervised)
			if err != nil {
				t.Error(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("differs from the output of real root:\n%s", unifiedDiff(t, expected, got))
			}
			if err := removeAll(rootfs); err != nil {
				t.Error(err)
			}
		})
	}
}

// serviceScripts returns the names of the scripts.
func serviceScripts(work string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(work, "testdata", "services", "*.sh"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".sh"); !strings.HasSuffix(name, ".again") {
			names = append(names, name)
		}
	}
	return names, nil
}

// container returns a command that runs the given command in a root file system.
type container func(ctx context.Context, rootfs string, command ...string) *exec.Cmd

// supervised is a container of subuidless. It has its own network, so that services
// of scripts that run at the same time do not interfere.
func supervised(ctx context.Context, rootfs string, command ...string) *exec.Cmd {
	args := append([]string{"run", "--net", "none", "--hostname", "box", rootfs, "--"}, command...)
	return exec.CommandContext(ctx, "subuidless", args...)
}

// runScript runs NAME.sh and NAME.again.sh and returns their standard output.
func runScript(work, rootfs, name string, in container) ([]byte, error) {
	if err := install(work, rootfs); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, script := range []string{name + ".sh", name + ".again.sh"} {
		fmt.Fprintf(&out, "# %s\n", script)
		if stderr, err := runTimed(&out, scriptTimeout, in, rootfs, "/bin/sh", "-eu", "/test/"+script); err != nil {
			return out.Bytes(), fmt.Errorf("%s: %w\n%s", script, err, stderr)
		}
	}
	return out.Bytes(), nil
}

// runTimed runs a command in a container until the timeout or the deadline.
func runTimed(out *bytes.Buffer, timeout time.Duration, in container, rootfs string, command ...string) (stderr string, err error) {
	ctx, cancel := limited(context.Background())
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := in(ctx, rootfs, command...)
	var messages strings.Builder
	cmd.Stdout, cmd.Stderr = out, &messages
	if err := cmd.Run(); err != nil {
		return messages.String(), errors.Join(err, ctx.Err())
	}
	return messages.String(), nil
}

// install copies the scripts and their programs to /test in a root file system.
func install(work, rootfs string) error {
	dir := filepath.Join(rootfs, "test")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(work, "testdata", "services"))); err != nil {
		return err
	}
	for _, program := range []string{"rawids", "goids", "busclient"} {
		if err := copyFile(filepath.Join(dir, program), filepath.Join(work, "bin", program)); err != nil {
			return err
		}
	}
	return nil
}

// unifiedDiff returns the differences between the file expected and got.
func unifiedDiff(t *testing.T, expected string, got []byte) string {
	t.Helper()
	cmd := exec.Command("diff", "-U2", "--label=root", "--label=subuidless", expected, "-")
	cmd.Stdin = bytes.NewReader(got)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Error(err)
	}
	return string(out)
}
