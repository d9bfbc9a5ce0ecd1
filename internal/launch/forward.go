package launch

import "os"

// CatchSignals keeps the signals that WaitForwarding forwards from acting on the calling
// process. Call it before the child starts, so that none is lost.
func CatchSignals() <-chan os.Signal { return catchSignals(forwardable()) }

// WaitForwarding waits until the child pid ends, sends it the signals that arrive on received
// meanwhile, and returns its exit status as a shell would. If the standard input is a terminal,
// signals that this sends to all of its foreground processes are not sent again.
func WaitForwarding(pid int, received <-chan os.Signal) (status int, err error) {
	var skip []os.Signal
	if IsTerminal(os.Stdin) {
		skip = sentByTerminal
	}
	go forwardSignals(received, pid, skip...)
	return waitFor(pid, false)
}
