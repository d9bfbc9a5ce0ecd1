package test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Debian 13, with the engines that test/mkrootfs-engines installs: a mount namespace whose
// root directory is that system, and which has the work directory at the same path. Its /sys
// has cgroup2 only. Everything else is shared with the tests: processes, network, users.

const (
	// engines13 is the root file system, which test/prepare builds.
	engines13 = "engines13"
	// namespace13 is the mount namespace.
	namespace13 = "debian13.ns"
	// enter13 is a program that only the tests' user can execute, set-user-ID: nsenter.
	enter13 = "bin/enter13"
)

// in13 returns the command line that runs a command in Debian 13 in a directory below the work
// directory. In the stage of root, it runs as root; in the tests, as their user.
func in13(work, dir string, argv ...string) []string {
	user := os.Getuid()
	enter := []string{
		filepath.Join(work, enter13), "--mount=" + filepath.Join(work, namespace13), fmt.Sprintf("--setuid=%d", user), fmt.Sprintf("--setgid=%d", user),
		// glibc removes TMPDIR from the environment of set-user-ID programs.
		"env", "-C", dir, "TMPDIR=" + os.Getenv("TMPDIR"),
	}
	return append(enter, argv...)
}

// enterDebian13 makes the mount namespace, if the root file system is there, and lets the user
// enter it. The caller must close what it returns, which ends the namespace.
func enterDebian13(work string, user int) (io.Closer, error) {
	rootfs := filepath.Join(work, engines13)
	if _, err := os.Stat(rootfs); err != nil {
		return io.NopCloser(nil), nil // the tests are skipped, with the reason
	}
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		return nil, err
	}
	program := filepath.Join(work, enter13)
	if err := errors.Join(copyFile(program, nsenter), os.Chown(program, 0, user), unix.Chmod(program, 0o4750)); err != nil {
		return nil, err
	}
	// A process holds the namespace, until its standard input ends. A bind mount could not: the
	// kernel refuses those of namespaces that it takes for older than the mounter's, which on
	// Linux 6.18 can be any.
	cmd := exec.Command("unshare", "--mount", filepath.Join(work, "testdata", "debian13", "hold"), rootfs, work)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	h := holder{in, cmd}
	if ready, err := io.ReadAll(out); err != nil || len(ready) == 0 {
		return nil, errors.Join(errors.New("Debian 13 cannot be entered"), err, h.Close())
	}
	return h, os.Symlink(fmt.Sprintf("/proc/%d/ns/mnt", cmd.Process.Pid), filepath.Join(work, namespace13))
}

// holder is a process that ends with its standard input.
type holder struct {
	stdin io.Closer
	cmd   *exec.Cmd
}

func (h holder) Close() error { return errors.Join(h.stdin.Close(), h.cmd.Wait()) }

// engineTests are the tests that also pass in Debian 13, as the flag -test.run takes them.
var engineTests = []string{
	"TestPodman", "TestPodmanNamespaces", "TestPodmanTerminal", "TestPodmanNetwork", "TestPodmanKilled", "TestPodmanStorage", "TestPodmanVFS",
	"TestBuild", "TestCommit", "TestDocker", "TestDockerd", "TestCRI",
	"TestScript/^(runtime_crun|runtime_errors|runtime_podman|runtime_runc)",
}

// TestDebian13 runs tests of engines in Debian 13.
func TestDebian13(t *testing.T) {
	needs(t, "debian13")
	const look = "id -u; id -g; . /etc/os-release; echo $VERSION_ID; stat -fc %T /sys/fs/cgroup; pwd; test $TMPDIR = $0; unshare -Ur true"
	out, err := command(t, in13(work(), work("home"), "sh", "-euc", look, os.Getenv("TMPDIR"))...).CombinedOutput()
	if want := fmt.Sprintf("%d\n%[1]d\n13\ncgroup2fs\n%s\n", os.Getuid(), work("home")); err != nil || string(out) != want {
		t.Fatalf("%v, %s", err, diff([]byte(want), out))
	}
	for _, name := range engineTests {
		top, _, _ := strings.Cut(name, "/")
		t.Run(top, func(t *testing.T) {
			cmd := command(t, in13(work(), work(), filepath.Join(work(), "bin", "tests"), "-test.v", "-test.run=^"+name+"$")...)
			out, err := cmd.CombinedOutput()
			switch {
			case err != nil:
				t.Errorf("%v\n%s", err, out)
			case bytes.Contains(out, []byte("--- SKIP: "+top+" ")):
				t.Skipf("%s", out)
			case !bytes.Contains(out, []byte("--- PASS: "+top+" ")):
				t.Errorf("did not run:\n%s", out)
			}
		})
	}
}
