package launch

import (
	"os"
	"os/signal"
	"slices"

	"golang.org/x/sys/unix"
)

// catchSignals keeps the signals from acting on the calling process from now on.
func catchSignals(signals []os.Signal) <-chan os.Signal {
	received := make(chan os.Signal, 64)
	signal.Notify(received, signals...)
	return received
}

// forwardSignals passes what catchSignals has received, and will, on to process
// pid. Skipped ones are forgotten.
func forwardSignals(received <-chan os.Signal, pid int, skip ...os.Signal) {
	for s := range received {
		if slices.Contains(skip, s) {
			continue
		}
		// The only error is that the process has ended: its waiter knows.
		_ = unix.Kill(pid, s.(unix.Signal))
	}
}

// forwardable returns the signals that somebody may mean for the command. The
// others report something about the receiving process itself, concern the
// terminal that it is on, or cannot be caught. Signals that the caller ignores,
// as under nohup(1), stay ignored.
func forwardable() []os.Signal {
	var list []os.Signal
	for s := unix.Signal(1); s <= lastSignal; s++ {
		switch s {
		case unix.SIGKILL, unix.SIGSTOP, // cannot be caught
			unix.SIGCHLD, unix.SIGPIPE, unix.SIGPROF,
			unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP,
			unix.SIGURG, // the Go scheduler's
			unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGWINCH,
			32, 33, 34: // the thread libraries' own
			continue
		}
		if !signal.Ignored(s) {
			list = append(list, s)
		}
	}
	return list
}

// lastSignal is the kernel's _NSIG.
const lastSignal = 64

// sentByTerminal are the signals that a terminal sends to the whole foreground
// process group.
var sentByTerminal = []os.Signal{unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP}
