package supervisor

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/userns"
)

// timerSlack is the timer slack of keeper and worker: how much later than asked the kernel may wake
// them up. While their threads wait in system calls, another one of the Go runtime (sysmon) looks at
// them every 20 µs. With the default slack, 50 µs, that is a fifth of a worker's CPU time, and a
// twelfth of that of "exec -- true". What they wait for takes longer than this.
const timerSlack = 4 * time.Millisecond

// workerProcs is GOMAXPROCS of a worker. If the receivers of so many listeners wait at once, the next
// one needs sysmon to go on.
const workerProcs = "GOMAXPROCS=8"

// startPatient starts a process with timerSlack, which its threads inherit, also across execve:
// PR_SET_TIMERSLACK(2const).
func startPatient(cmd *userns.Command) (pid int, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Where it is denied, the process only costs more.
	if unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(timerSlack), 0, 0, 0) == nil {
		defer unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) // the default again
	}
	return cmd.Start()
}
