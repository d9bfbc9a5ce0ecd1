package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/program"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// EnterOptions are the options of Enter.
type EnterOptions struct {
	Socket   string     // RunOptions.Socket of the container
	Args     []string   // the command and its arguments; at least one
	User     string     // see RunOptions.User
	Env      []string   // K=V: the variables besides PATH and HOME, which they replace
	Workdir  string     // absolute path in the container; empty: /
	Terminal bool       // run the command in a new terminal, which is connected with Stdio
	Detach   bool       // do not wait for the end of the command
	Stdio    []*os.File // its standard streams; nil: those of the caller
	Signals  bool       // forward signals to the command

	// Context, if not nil, kills the command when it ends.
	Context context.Context //nolint:containedctx // an option

	Supervisor supervisor.Config // of the container: its ID and SocketDir are used
}

// statusKilled is the exit status of a command whose container has ended.
const statusKilled = 128 + int(unix.SIGKILL)

// Enter runs a further command in a container that Run runs, and returns its exit status like
// Exec. It is 137 if the container ends meanwhile. The error wraps ErrNotRunning if the
// container does not run.
func Enter(o EnterOptions) (status int, err error) {
	stdio := o.Stdio
	if stdio == nil {
		stdio = []*os.File{os.Stdin, os.Stdout, os.Stderr}
	}
	socket, err := dialControl(o.Socket)
	if err != nil {
		return StatusFailed, err
	}
	defer socket.Close()
	if o.Context != nil {
		// The init kills a command whose peer has disconnected.
		stop := context.AfterFunc(o.Context, func() { _ = unix.Shutdown(int(socket.Fd()), unix.SHUT_RDWR) })
		defer stop()
	}
	spec, err := jsonFile("command", execSpec{Args: o.Args, Env: o.Env, Cwd: o.Workdir, User: o.User, Terminal: o.Terminal, Detached: o.Detach})
	if err != nil {
		return StatusFailed, err
	}
	err = send(socket, packetText, requestExec, int(spec.Fd()), int(stdio[0].Fd()), int(stdio[1].Fd()), int(stdio[2].Fd()))
	spec.Close()
	if err != nil {
		return StatusFailed, endedOr(err)
	}
	var term *terminal
	if o.Terminal {
		master, err := receiveFile(socket)
		if err != nil {
			return StatusFailed, endedOr(err)
		}
		if term, err = connectTerminal(master, stdio[0], stdio[1]); err != nil {
			return StatusFailed, err
		}
		defer func() { err = errors.Join(err, term.restore()) }()
	}
	status, ended, err := o.join(socket)
	if err != nil || ended {
		return status, err
	}
	var signals <-chan os.Signal
	if o.Signals && !o.Detach { // before the command runs, and others can see that
		signals = catchSignals(forwardable())
	}
	if err := sendText(socket, proceed); err != nil {
		return StatusFailed, endedOr(err)
	}
	if o.Detach {
		return 0, nil
	}
	if o.Signals {
		go forwardOver(socket, signals)
	}
	status, err = awaitStatus(socket)
	if term != nil {
		term.drainSome()
	}
	return status, err
}

// join passes the listener of the command, which does not run yet, to the container's supervisor.
// Ended means that it has ended before, with this status.
func (o *EnterOptions) join(socket *os.File) (status int, ended bool, err error) {
	text, listener, err := receive(socket)
	if err != nil {
		return StatusFailed, false, endedOr(err)
	}
	if listener != nil {
		defer listener.Close()
		user := new(identity.User)
		if err := json.Unmarshal([]byte(text), user); err != nil {
			return StatusFailed, false, fmt.Errorf("the container's answer: %w", err)
		}
		err := supervisor.Join(o.Supervisor, supervisor.Process{Listener: listener, User: user})
		if errors.Is(err, supervisor.ErrNoKeeper) { // it ends with the container
			err = fmt.Errorf("%w: %w", ErrNotRunning, err)
		}
		if err != nil {
			return StatusFailed, false, err
		}
	} else if status, err := strconv.Atoi(text); err == nil {
		return status, true, nil
	}
	return 0, false, nil
}

// endedOr returns ErrNotRunning if err means that the container has ended.
func endedOr(err error) error {
	if fdpass.PeerGone(err) {
		return ErrNotRunning
	}
	return err
}

// awaitStatus receives the exit status of the command.
func awaitStatus(socket *os.File) (status int, err error) {
	text, _, err := receive(socket)
	switch {
	case errors.Is(endedOr(err), ErrNotRunning):
		return statusKilled, nil
	case err != nil:
		return StatusFailed, err
	}
	status, err = strconv.Atoi(text)
	if err != nil {
		return StatusFailed, fmt.Errorf("the container's answer: %w", err)
	}
	return status, nil
}

// forwardOver sends each signal that arrives on received to the command.
func forwardOver(socket *os.File, received <-chan os.Signal) {
	for s := range received {
		_ = sendText(socket, strconv.Itoa(int(s.(unix.Signal)))) // an error means that it has ended
	}
}

// Signal sends a signal to the command of a container that Run runs, as a process in its PID
// namespace. The error wraps ErrNotRunning if the container does not run.
func Signal(socket string, number unix.Signal) error {
	return request(socket, requestSignal+strconv.Itoa(int(number)))
}

// SignalAll is Signal for all processes of the container except its init. Not even a process that
// is being created is left out.
func SignalAll(socket string, number unix.Signal) error {
	return request(socket, requestAll+strconv.Itoa(int(number)))
}

// Resize gives the terminal of a container that Run runs a size in characters. The error wraps
// ErrNotRunning if the container does not run.
func Resize(socket string, columns, rows uint16) error {
	return request(socket, fmt.Sprintf("%s%d %d", requestResize, columns, rows))
}

// request sends a request whose answer is a text.
func request(socket, text string) error {
	c, err := dialControl(socket)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := sendText(c, text); err != nil {
		return endedOr(err)
	}
	_, _, err = receive(c)
	return endedOr(err)
}

// jsonFile returns an anonymous file that holds v.
func jsonFile(name string, v any) (*os.File, error) {
	f, err := program.Memfd(name, 0)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(f).Encode(v); err != nil {
		return nil, errors.Join(fmt.Errorf("writing the configuration of the %s: %w", name, err), f.Close())
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(fmt.Errorf("rewinding the configuration of the %s: %w", name, err), f.Close())
	}
	return f, nil
}
