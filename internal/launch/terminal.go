package launch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/containerd/console"
	"golang.org/x/sys/unix"
)

// terminal joins the user's terminal with the one in the container.
type terminal struct {
	host   console.Console
	master console.Console
	done   chan struct{} // closed when the container's output has ended
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// relay receives the master side of the container's terminal, sets the user's
// to raw mode and copies between the two. The caller must call restore in the
// end.
func relay(socket *os.File) (*terminal, error) {
	master, err := receiveFile(socket)
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the container's init has died while it set up the container")
	}
	if err != nil {
		return nil, err
	}
	host, err := console.ConsoleFromFile(os.Stdin)
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	m, err := console.ConsoleFromFile(master)
	if err != nil {
		return nil, fmt.Errorf("the container's terminal: %w", err)
	}
	t := &terminal{host: host, master: m, done: make(chan struct{})}
	if err := m.ResizeFrom(host); err != nil {
		return nil, fmt.Errorf("setting the size of the container's terminal: %w", err)
	}
	if err := host.SetRaw(); err != nil {
		return nil, fmt.Errorf("setting the terminal to raw mode: %w", err)
	}
	t.follow()
	go copyTerminal(m, os.Stdin)
	go func() {
		copyTerminal(os.Stdout, m)
		// If it was the user's terminal that has gone, this hangs up the
		// container's. There is nothing to do about an error.
		_ = m.Close()
		close(t.done)
	}()
	return t, nil
}

// copyTerminal copies until one side is gone. A terminal that hangs up answers
// EIO, and then the command ends or has ended: the status tells the rest.
func copyTerminal(to io.Writer, from io.Reader) { _, _ = io.Copy(to, from) }

// follow keeps the size of the container's terminal that of the user's, and
// the user's raw when a shell has put us into the foreground again.
func (t *terminal) follow() {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, unix.SIGWINCH, unix.SIGCONT)
	go func() {
		for s := range changed {
			// Either fails only if a terminal has gone, which ends the command.
			if s == unix.SIGCONT {
				_ = t.host.SetRaw()
			}
			_ = t.master.ResizeFrom(t.host)
		}
	}()
}

// drain waits until the container's last output is shown.
func (t *terminal) drain() { <-t.done }

// restore gives the user's terminal back as it was.
func (t *terminal) restore() error {
	if err := t.host.Reset(); err != nil && !errors.Is(err, unix.EIO) {
		return fmt.Errorf("restoring the terminal: %w", err)
	}
	return nil
}
