package doctor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/userns"
)

// userNamespace checks whether a user namespace can be created, and a mount namespace in it.
func userNamespace(*Machine) (string, error) {
	if err := userns.Try(); err != nil {
		return "", err
	}
	return "with a single mapped id", nil
}

// ProcName is argv[0] of the process that tries to mount a new /proc: a process with this name must
// call ProcMain.
const ProcName = "subuidless-proc-probe"

// newProc checks whether a container can have a /proc of its own.
func newProc(*Machine) (string, error) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args[0] = ProcName
	cmd.SysProcAttr = userns.NewProcAttr(unix.CLONE_NEWNS | unix.CLONE_NEWPID)
	out, err := cmd.CombinedOutput()
	if len(out) > 0 {
		return "", errors.New(strings.TrimSpace(string(out)))
	}
	return "each container can mount its own", userns.Explain(err)
}

// ProcMain is the main function of the process that tries to mount a new /proc, in namespaces of its
// own. It prints why that is impossible, and returns the exit status.
func ProcMain() int {
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		fmt.Fprintln(os.Stderr, userns.ExplainProc(fmt.Errorf("mounting a new /proc: %w", err)))
		return 1
	}
	return 0
}
