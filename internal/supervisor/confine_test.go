package supervisor

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// confinedEnv tells TestConfined in a new process what to do once it is confined.
const confinedEnv = "SUBUIDLESS_TEST_CONFINED"

// confined are the steps of a confined process, and what it prints in the end.
var confined = map[string]struct {
	do   func() error
	want string // in its output
}{
	"denied call": {func() error {
		_, err := unix.KeyctlInt(unix.KEYCTL_GET_KEYRING_ID, unix.KEY_SPEC_SESSION_KEYRING, 0, 0, 0)
		return fmt.Errorf("the call has returned: %v", err)
	}, "SIGSYS: bad system call"},
	"denied call of a child": {func() error {
		out, err := confinedAgain("denied call").CombinedOutput()
		fmt.Printf("%v\n%s", err, out)
		return nil
	}, "SIGSYS: bad system call"},
	"memory": {func() error {
		// Without the collector, which allocates, too, and fails with other words or without any.
		debug.SetGCPercent(-1)
		debug.SetMemoryLimit(math.MaxInt64)
		for range 2 * maxMemory >> 20 {
			memory = append(memory, make([]byte, 1<<20))
		}
		return fmt.Errorf("%d MiB are allocated", len(memory))
	}, "out of memory"},
	"unknown call": {func() error {
		_, _, e := unix.Syscall(5000, 0, 0, 0)
		fmt.Println(e)
		return nil
	}, unix.ENOSYS.Error()},
	"status": {func() error {
		if err := hide(); err != nil {
			return err
		}
		dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		if err != nil {
			return err
		}
		before, err := seccompStatus()
		if err != nil {
			return err
		}
		// Again, as in a worker.
		if err := confine(); err != nil {
			return err
		}
		after, err := seccompStatus()
		if err != nil || before != after {
			return fmt.Errorf("%s, and then %s (%v)", before, after, err)
		}
		fmt.Println("dumpable", dumpable, after)
		return nil
	}, "dumpable 0 NoNewPrivs:1 Seccomp:2 "},
}

// memory keeps what the process allocates.
var memory [][]byte

// seccompStatus returns what /proc/self/status says about filters.
func seccompStatus() (string, error) {
	text, err := os.ReadFile("/proc/self/status")
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); name == "NoNewPrivs" || strings.HasPrefix(name, "Seccomp") {
			fmt.Fprintf(&b, "%s:%s ", name, strings.TrimSpace(value))
		}
	}
	return b.String(), err
}

// confinedAgain is the command that runs this test in a new process.
func confinedAgain(step string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestConfined$")
	cmd.Env = append(os.Environ(), confinedEnv+"="+step)
	return cmd
}

// TestConfined tries what a confined process can do.
func TestConfined(t *testing.T) {
	if step := os.Getenv(confinedEnv); step != "" {
		err := confine()
		if err == nil {
			err = confined[step].do()
		}
		fmt.Println(err)
		return
	}
	for step, c := range confined {
		t.Run(step, func(t *testing.T) {
			if out, _ := confinedAgain(step).CombinedOutput(); !strings.Contains(string(out), c.want) {
				t.Errorf("no %q:\n%.2000s", c.want, out)
			}
		})
	}
}
