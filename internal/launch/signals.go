package launch

import (
	"os"
	"os/signal"
	"slices"

	"golang.org/x/sys/unix"
)

// catchSignals keeps signals from acting on the calling process from now on, and returns the
// channel that receives them.
func catchSignals(signals []os.Signal) <-chan os.Signal {
	received := make(chan os.Signal, 64)
	signal.Notify(received, signals...)
	return received
}

// forwardSignals sends each signal that arrives on received to process pid, except for those
// in skip, which it discards.
func forwardSignals(received <-chan os.Signal, pid int, skip ...os.Signal) {
	for s := range received {
		if slices.Contains(skip, s) {
			continue
		}
		// The only possible error is that the process has ended, which waitFor reports.
		_ = unix.Kill(pid, s.(unix.Signal))
	}
}

// forwardable returns the signals that are forwarded to the command. The others report
// something about the receiving process itself, concern its terminal, or cannot be caught.
// Signals that the caller ignores, for example under nohup(1), stay ignored.
func forwardable() []os.Signal {
	var list []os.Signal
	for s := unix.Signal(1); s <= lastSignal; s++ {
		switch s {
		case unix.SIGKILL, unix.SIGSTOP, // cannot be caught
			unix.SIGCHLD, unix.SIGPIPE, unix.SIGPROF,
			unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP,
			unix.SIGURG, // used by the Go scheduler
			unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGWINCH,
			32, 33, 34: // used by thread libraries
			continue
		}
		if !signal.Ignored(s) {
			list = append(list, s)
		}
	}
	return list
}

// lastSignal is _NSIG of the kernel.
const lastSignal = 64

// sentByTerminal are the signals that a terminal sends to the whole foreground process group.
var sentByTerminal = []os.Signal{unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP}
