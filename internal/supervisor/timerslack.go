package supervisor

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// workerSlack is the timer slack of a worker: how much later than asked the kernel may wake it up.
// While receivers wait in system calls, a thread of the Go runtime (sysmon) looks at them every 20 µs.
// With the default slack, 50 µs, that is a fifth of the worker's CPU time. What a worker waits for
// takes longer than this.
const workerSlack = 4 * time.Millisecond

// workerProcs is GOMAXPROCS of a worker. If the receivers of so many listeners wait at once, the next
// one needs sysmon to go on.
const workerProcs = "GOMAXPROCS=8"

// withTimerSlack calls f on a thread with this timer slack. Processes that f starts inherit it, also
// across execve: PR_SET_TIMERSLACK(2const).
func withTimerSlack(slack time.Duration, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Where it is denied, workers only cost more.
	if unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0) == nil {
		defer unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) // the default again
	}
	return f()
}
