// Package test holds the integration tests: subuidless as a user runs it, with
// the real kernel and the real programs.
//
// Run as root, the tests prepare what needs root, and then run under an id
// that has no entry in /etc/subuid. Run by anybody else, they run as they are,
// and what needs root is skipped.
package test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/test/freeid"
)

// The test program runs itself again for each stage but the first.
const (
	stageVar = "SUBUIDLESS_TEST_STAGE"
	workVar  = "SUBUIDLESS_TEST_WORK"

	stagePrivate = "private" // root, in a mount namespace of its own
	stageTests   = "tests"   // the user of the tests
)

func TestMain(m *testing.M) {
	// PR_SET_PDEATHSIG of the next stage is about this very thread.
	runtime.LockOSThread()
	var status int
	var err error
	switch stage := os.Getenv(stageVar); {
	case stage == stageTests:
		status = m.Run()
	case stage == "" && os.Getuid() == 0:
		status, err = runStage(os.Args[0], stagePrivate, os.Environ(), &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS})
	default:
		status, err = prepareAndRun()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "preparing the tests:", err)
		status = 1
	}
	os.Exit(status)
}

// runStage runs this program again, and returns its exit status.
func runStage(program, stage string, env []string, attr *syscall.SysProcAttr) (int, error) {
	attr.Pdeathsig = unix.SIGKILL
	cmd := exec.Command(program, stageArgs()...)
	cmd.Env = append(env, stageVar+"="+stage)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = attr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		return 0, err
	}
	if status := cmd.ProcessState.ExitCode(); status >= 0 {
		return status, nil
	}
	return 0, fmt.Errorf("the %s stage: %w", stage, err)
}

// stageArgs are this program's arguments without the log of the opened files,
// which go test keeps where the next stage may not write.
func stageArgs() []string {
	return slices.DeleteFunc(slices.Clone(os.Args[1:]), func(arg string) bool {
		return strings.HasPrefix(arg, "-test.testlogfile=")
	})
}

// prepareAndRun makes the work directory, runs the tests in it, and sees that
// they left nothing behind.
func prepareAndRun() (status int, err error) {
	work, err := os.MkdirTemp("/tmp", "subuidless-test-")
	if err != nil {
		return 0, err
	}
	defer func() {
		if rerr := removeAll(work); err == nil {
			err = rerr
		}
	}()
	user, attr := os.Getuid(), &syscall.SysProcAttr{}
	if user == 0 {
		if err := makePrivate(work); err != nil {
			return 0, err
		}
		defer unmountAll(work)
		var reservation io.Closer
		if user, reservation, err = freeid.Reserve(); err != nil {
			return 0, err
		}
		defer reservation.Close()
		if err := mountOdd(work, user); err != nil {
			return 0, err
		}
		attr.Credential = &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}
	}
	if err := populate(work, user); err != nil {
		return 0, err
	}
	if user != os.Getuid() {
		if err := errors.Join(runProgramsAsRoot(work), bootstrapAsRoot(work)); err != nil {
			return 0, err
		}
		if err := errors.Join(runServicesAsRoot(work), runSuitesAsRoot(work)); err != nil {
			return 0, err
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return 0, err
	}
	if err := os.Chdir(work); err != nil {
		return 0, err
	}
	status, err = runStage(filepath.Join(work, "bin", "tests"), stageTests, testEnv(work), attr)
	if err != nil {
		return 0, err
	}
	if left := leftovers(work, user, mounts); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "FAIL: the tests left behind:\n\t%s\n", strings.Join(left, "\n\t"))
		status = 1
	}
	return status, nil
}

// testEnv is the environment of the tests: nothing of the user's own directories.
func testEnv(work string) []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "XDG_") || strings.HasPrefix(kv, stageVar+"=")
	})
	// runc is in /usr/sbin, which is not in the PATH of Debian's users.
	path := filepath.Join(work, "bin") + ":" + os.Getenv("PATH") + ":/usr/sbin:/sbin"
	return append(env, workVar+"="+work, "PATH="+path,
		"HOME="+filepath.Join(work, "home"), "TMPDIR="+filepath.Join(work, "tmp"),
		"XDG_RUNTIME_DIR="+filepath.Join(work, "run"), "XDG_STATE_HOME="+filepath.Join(work, "state"))
}

// work is the directory of this run of the tests.
func work(elem ...string) string {
	return filepath.Join(append([]string{os.Getenv(workVar)}, elem...)...)
}
