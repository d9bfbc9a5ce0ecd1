package running

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"

	"github.com/containerd/console"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/storedir"
	"github.com/rootless-containers/subuidless/internal/launch"
)

// AttachOptions are the options of Attach.
type AttachOptions struct {
	In       *os.File // copied to the standard input of the container, if that is open; nil: nothing
	Out, Err io.Writer
	Signals  bool // forward signals, unless the container has a terminal
}

// Attach connects the caller with a container in the background: it writes what the container
// writes from now on. It returns the exit status of the container, or 0 when the user has pressed
// Ctrl-P Ctrl-Q on a terminal, as in docker.
func Attach(c *storedir.Container, o AttachOptions) (status int, err error) {
	if !c.Running {
		return 0, fmt.Errorf("container %s is not running (subuidless start %[1]s starts it)", c.Name)
	}
	if err := errors.Join(c.CheckProcesses(), checkNotPaused(c)); err != nil {
		return 0, err
	}
	ended, err := c.Waiter()
	if err != nil {
		return 0, err
	}
	defer ended.Close()
	if o.Signals && !c.Settings.Terminal { // before the user sees that it runs
		received := make(chan os.Signal, 16)
		signal.Notify(received, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2)
		defer signal.Stop(received)
		go func() {
			for s := range received {
				_ = Signal(c, s.(unix.Signal)) // an error means that it has ended
			}
		}()
	}
	followed, ready, detached := make(chan error, 1), make(chan struct{}), make(chan struct{})
	go func() {
		followed <- Logs(c, LogOptions{Follow: true, Out: o.Out, Err: o.Err, ready: func() { close(ready) }})
	}()
	select {
	case <-ready: // before it gets input, and answers
	case err := <-followed:
		return 0, err
	}
	if o.In != nil && c.State.Stdin != 0 {
		restore, err := connectInput(c, o.In, detached)
		if err != nil {
			return 0, err
		}
		defer restore()
	}
	if o.In != nil && c.Settings.Terminal {
		defer followSize(c, o.In)()
	}
	select {
	case <-detached:
		return 0, nil
	case err := <-followed:
		if err != nil {
			return 0, err
		}
	}
	return ended.Wait()
}

// followSize gives the terminal of the container the size of the terminal in, if that is one, now and
// whenever it changes, until stop.
func followSize(c *storedir.Container, in *os.File) (stop func()) {
	changed := make(chan os.Signal, 1)
	changed <- unix.SIGWINCH
	signal.Notify(changed, unix.SIGWINCH)
	go func() {
		for range changed {
			size, err := unix.IoctlGetWinsize(int(in.Fd()), unix.TIOCGWINSZ)
			if err != nil {
				return // no terminal
			}
			_ = launch.Resize(socket(c), size.Col, size.Row) // an error means that it has ended
		}
	}()
	return func() { signal.Stop(changed) }
}

// connectInput copies in to the standard input of the container. If both are terminals, detached
// is closed when the user presses the keys for that. The caller calls restore in the end.
func connectInput(c *storedir.Container, in *os.File, detached chan<- struct{}) (restore func(), err error) {
	// A pipe of the monitor, whose descriptor the state has.
	name := "/proc/" + strconv.Itoa(c.State.Pid) + "/fd/" + strconv.Itoa(c.State.Stdin)
	to, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("the standard input of container %s: %w", c.Name, err)
	}
	if st, err := to.Stat(); err != nil || st.Mode()&os.ModeNamedPipe == 0 || !c.IsRunning() {
		to.Close()
		return nil, fmt.Errorf("container %s has just ended", c.Name)
	}
	restore = func() {}
	from := io.Reader(in)
	if _, err := unix.IoctlGetTermios(int(in.Fd()), unix.TCGETS); err == nil && c.Settings.Terminal {
		terminal, err := console.ConsoleFromFile(in)
		if err == nil {
			err = terminal.SetRaw()
		}
		if err != nil {
			to.Close()
			return nil, fmt.Errorf("the terminal: %w", err)
		}
		restore = func() { _ = terminal.Reset() } // it may be gone
		from = &keys{in: in, detached: detached}
	}
	go func() {
		_, _ = io.Copy(to, from) // ends with one of them
		to.Close()
	}()
	return restore, nil
}

// The keys that detach a terminal: Ctrl-P Ctrl-Q.
const (
	ctrlP = 'P' & 0x1f
	ctrlQ = 'Q' & 0x1f
)

// keys is the input of a terminal until the keys to detach.
type keys struct {
	in       io.Reader
	detached chan<- struct{}
	pending  bool // Ctrl-P has been pressed, and is kept back
}

// Read implements io.Reader. The length of b is at least 2.
func (k *keys) Read(b []byte) (int, error) {
	buf := make([]byte, len(b)/2)
	n, err := k.in.Read(buf)
	out := b[:0]
	for _, c := range buf[:n] {
		if k.pending && c == ctrlQ {
			close(k.detached)
			return len(out), io.EOF
		}
		if k.pending {
			out = append(out, ctrlP)
		}
		if k.pending = c == ctrlP; !k.pending {
			out = append(out, c)
		}
	}
	return len(out), err
}
