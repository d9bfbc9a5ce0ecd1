package launch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/containerd/console"
	"golang.org/x/sys/unix"
)

// terminal connects the user's terminal with the one in the container.
type terminal struct {
	host   console.Console // the user's terminal; nil: there is none
	master console.Console // the master side of the container's terminal
	done   chan struct{}   // closed when the container's output has ended
}

func IsTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// relay receives the master side of the container's terminal, and connects it with the streams
// stdio: see connectTerminal.
func relay(socket *os.File, stdio []*os.File) (*terminal, error) {
	master, err := receiveFile(socket)
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the container's init died while it was setting up the container")
	}
	if err != nil {
		return nil, err
	}
	return connectTerminal(master, stdio[0], stdio[1])
}

// connectTerminal copies between the master side of the container's terminal and two streams.
// If both are the user's terminal, it sets that to raw mode, and the sizes of the two are the
// same. The caller must call restore in the end.
func connectTerminal(master, in, out *os.File) (*terminal, error) {
	m, err := console.ConsoleFromFile(master)
	if err != nil {
		return nil, fmt.Errorf("the container's terminal: %w", err)
	}
	t := &terminal{master: m, done: make(chan struct{})}
	if IsTerminal(in) && IsTerminal(out) {
		if t.host, err = console.ConsoleFromFile(in); err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
		if err := m.ResizeFrom(t.host); err != nil {
			return nil, fmt.Errorf("setting the size of the container's terminal: %w", err)
		}
		if err := t.host.SetRaw(); err != nil {
			return nil, fmt.Errorf("setting the terminal to raw mode: %w", err)
		}
		t.follow()
	}
	go copyTerminal(m, in)
	go func() {
		copyTerminal(out, m)
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

// drainPatience is how long the output of a command may take to arrive after its end.
const drainPatience = time.Second

// drainSome is drain for a terminal that other processes may keep open.
func (t *terminal) drainSome() {
	select {
	case <-t.done:
	case <-time.After(drainPatience):
	}
}

// restore resets the user's terminal to its original state.
func (t *terminal) restore() error {
	if t.host == nil {
		return nil
	}
	if err := t.host.Reset(); err != nil && !errors.Is(err, unix.EIO) {
		return fmt.Errorf("restoring the terminal: %w", err)
	}
	return nil
}
