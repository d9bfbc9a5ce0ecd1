// Package test holds the integration tests: they run subuidless as a user does,
// with the real kernel and real programs.
//
// If root runs them, they first set up what only root can, and then continue as a
// user id that has no entry in /etc/subuid. If an ordinary user runs them, they run
// as that user and skip what needs root.
package test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/test/freeid"
)

// The test program runs itself again for each stage after the first.
const (
	stageVar = "SUBUIDLESS_TEST_STAGE"
	workVar  = "SUBUIDLESS_TEST_WORK"

	stagePrivate = "private" // root, in its own mount namespace
	stageTests   = "tests"   // the tests' user
)

func TestMain(m *testing.M) {
	// PR_SET_PDEATHSIG of the next stage refers to this very thread.
	runtime.LockOSThread()
	setDeadline()
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

// runStage runs this program again and returns its exit status. It passes signals on
// and stays, so that its caller can clean up.
func runStage(program, stage string, env []string, attr *syscall.SysProcAttr) (int, error) {
	attr.Pdeathsig = unix.SIGKILL
	cmd := exec.Command(program, stageArgs()...)
	cmd.Env = append(env, stageVar+"="+stage)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = attr
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGQUIT)
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s) // the stage may have ended just now
		}
	}()
	err := cmd.Wait()
	signal.Stop(signals)
	close(signals)
	if status := cmd.ProcessState.ExitCode(); status >= 0 {
		return status, nil
	}
	return 0, fmt.Errorf("the %s stage: %w", stage, err)
}

// stageArgs returns the arguments of the next stage: those of this program, with the
// time that is left until go test's limit, and without the log of opened files, which
// go test creates in a directory that the next stage may be unable to write.
func stageArgs() []string {
	args := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(arg string) bool {
		return strings.HasPrefix(arg, "-test.testlogfile=") || strings.HasPrefix(arg, "-test.timeout=")
	})
	if deadline.IsZero() {
		return args
	}
	left := max(time.Until(deadline)+grace, time.Second) // 0 would be no limit
	return slices.Insert(args, 0, "-test.timeout="+left.String())
}

// rootStages store in the work directory what real root sees, makes or builds.
var rootStages = []func(work string) error{
	runProgramsAsRoot, buildAsRoot, buildCasesAsRoot, listOwnedAsRoot, livesAsRoot, podAsRoot, limitsAsRoot, bootstrapAsRoot, runServicesAsRoot, runSuitesAsRoot,
}

// prepareAndRun creates the work directory, runs the tests in it, and fails if they
// leave anything behind.
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
		mountDisks(work, user)
		attr.Credential = &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}
	}
	if err := populate(work, user); err != nil {
		return 0, err
	}
	if user != os.Getuid() {
		debian13, err := enterDebian13(work, user)
		if err != nil {
			return 0, err
		}
		defer debian13.Close()
		unmount, err := mountAnswers(work, user)
		if err != nil {
			return 0, err
		}
		defer unmount()
		mountImages(work, attr.Credential)
		for _, run := range rootStages {
			if err := run(work); err != nil {
				return 0, err
			}
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
	wait := patience
	if err != nil { // interrupted
		wait = 0
	}
	if left := leftovers(work, user, mounts, wait); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "FAIL: the tests left behind:\n\t%s\n", strings.Join(left, "\n\t"))
		status = 1
	}
	return status, err
}

// testEnv returns the environment of the tests, which leads to none of the user's
// own directories.
func testEnv(work string) []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "XDG_") || strings.HasPrefix(kv, stageVar+"=")
	})
	// runc is in /usr/sbin, which Debian's users do not have in their PATH.
	path := strings.Join([]string{filepath.Join(work, "bin"), os.Getenv("PATH"), "/usr/sbin", "/sbin", filepath.Join(work, "programs")}, ":")
	return append(env, workVar+"="+work, "PATH="+path,
		"HOME="+filepath.Join(work, "home"), "TMPDIR="+filepath.Join(work, "tmp"),
		"XDG_RUNTIME_DIR="+filepath.Join(work, "run"), "XDG_STATE_HOME="+filepath.Join(work, "state"))
}

// work returns a path in the work directory of this run of the tests.
func work(elem ...string) string {
	return filepath.Join(append([]string{os.Getenv(workVar)}, elem...)...)
}
