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

// terminal connects the user's terminal with the one in the container.
type terminal struct {
	host   console.Console // the user's terminal
	master console.Console // the master side of the container's terminal
	done   chan struct{}   // closed when the container's output has ended
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// relay receives the master side of the container's terminal, sets the user's terminal to raw
// mode, and copies between the two. The caller must call restore in the end.
func relay(socket *os.File) (*terminal, error) {
	master, err := receiveFile(socket)
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the container's init died while it was setting up the container")
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
		// If the user's terminal is gone, this hangs up the container's. An error
		// changes nothing.
		_ = m.Close()
		close(t.done)
	}()
	return t, nil
}

// copyTerminal copies until one side is gone. It drops the error, which is the EIO of a
// terminal that hangs up: then the command ends or has ended, and its status is reported.
func copyTerminal(to io.Writer, from io.Reader) { _, _ = io.Copy(to, from) }

// follow copies each change of the user's terminal size to the container's terminal, and
// sets raw mode again when a shell has put the front into the foreground.
func (t *terminal) follow() {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, unix.SIGWINCH, unix.SIGCONT)
	go func() {
		for s := range changed {
			// Both fail only if a terminal is gone, which ends the command.
			if s == unix.SIGCONT {
				_ = t.host.SetRaw()
			}
			_ = t.master.ResizeFrom(t.host)
		}
	}()
}

// drain waits until all output of the container has been copied.
func (t *terminal) drain() { <-t.done }

// restore resets the user's terminal to its original state.
func (t *terminal) restore() error {
	if err := t.host.Reset(); err != nil && !errors.Is(err, unix.EIO) {
		return fmt.Errorf("restoring the terminal: %w", err)
	}
	return nil
}
