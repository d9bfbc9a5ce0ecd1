package launch

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// forwardSignals passes the signals that the calling process receives on to
// process pid, from now on, but those that skip selects.
func forwardSignals(pid int, skip func(unix.Signal) bool) {
	received := make(chan os.Signal, 64)
	signal.Notify(received, forwardable()...)
	go func() {
		for s := range received {
			sig := s.(unix.Signal)
			if skip(sig) {
				continue
			}
			// The only error is that the process has ended: its waiter knows.
			_ = unix.Kill(pid, sig)
		}
	}()
}

// forwardable are the signals that somebody may mean for the command. The
// others report something about the receiving process itself, or cannot be
// caught. Signals that the caller ignores, as under nohup(1), stay ignored.
func forwardable() []os.Signal {
	var list []os.Signal
	for s := unix.Signal(1); s <= lastSignal; s++ {
		switch s {
		case unix.SIGKILL, unix.SIGSTOP, // cannot be caught
			unix.SIGCHLD, unix.SIGPIPE, unix.SIGPROF,
			unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP,
			unix.SIGURG,                // the Go scheduler's
			unix.SIGTTIN, unix.SIGTTOU, // from the terminal, to who uses it
			unix.SIGWINCH, // relay follows the size
			32, 33, 34:    // the threads libraries' own
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

// noSignal selects none.
func noSignal(unix.Signal) bool { return false }

// sentByTerminal selects the signals that a terminal sends to the whole
// foreground process group, the command included.
func sentByTerminal(s unix.Signal) bool {
	return s == unix.SIGINT || s == unix.SIGQUIT || s == unix.SIGTSTP
}
