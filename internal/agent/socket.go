package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// Socket is the socket that runtimes connect to. It does not change after Listen.
type Socket struct {
	*net.UnixListener
	// KeeperDir is the directory beside the socket in which keepers listen: see
	// Agent.KeeperDir.
	KeeperDir string

	lock *os.File // KeeperDir, locked with flock(2)
}

// Listen returns the socket that systemd passed (sd_listen_fds(3)) if there is one, and
// creates the socket path otherwise. An empty path means DefaultSocket.
//
// It is an error if path is not the socket that systemd passed, if others could replace the
// socket, or if another agent uses it. The caller must close the socket and then call
// Unlock.
func Listen(path string) (*Socket, error) {
	activated, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("receiving sockets from systemd: %w", err)
	}
	if len(activated) > 0 {
		return adopt(activated, path)
	}
	if path == "" {
		if path, err = DefaultSocket(); err != nil {
			return nil, err
		}
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", path, err)
	}
	return create(abs)
}

// adopt returns the one socket that systemd passed. Systemd keeps it open when the agent
// exits.
func adopt(activated []net.Listener, path string) (*Socket, error) {
	if len(activated) > 1 {
		return nil, fmt.Errorf("systemd passed %d sockets: the agent's .socket unit must have exactly one ListenStream=", len(activated))
	}
	ln, ok := activated[0].(*net.UnixListener)
	switch {
	case activated[0] == nil, ok && ln.Addr().Network() != "unix":
		return nil, errors.New("systemd passed a socket that does not listen for connections: set ListenStream=%t/subuidless.sock")
	case !ok:
		return nil, fmt.Errorf("systemd passed a %s socket, but OCI runtimes connect to a unix stream socket: set ListenStream=%%t/subuidless.sock", activated[0].Addr().Network())
	}
	name := ln.Addr().String()
	if !filepath.IsAbs(name) {
		return nil, fmt.Errorf("systemd passed the socket %q, but OCI runtimes connect to an absolute path: set ListenStream=%%t/subuidless.sock", name)
	}
	if path != "" && path != name {
		return nil, fmt.Errorf("systemd passed the socket %s, but the command line says %s: omit one of them", name, path)
	}
	if err := checkSocketPath(name); err != nil {
		return nil, err
	}
	keeperDir := name + ".d"
	lock, err := lockDirectory(keeperDir)
	if err != nil {
		return nil, err
	}
	s := &Socket{UnixListener: ln, KeeperDir: keeperDir, lock: lock}
	if err := s.control(passCredentials); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// create creates a socket that only the user can connect to.
func create(path string) (*Socket, error) {
	if err := checkSocketPath(path); err != nil {
		return nil, err
	}
	keeperDir := path + ".d"
	lock, err := lockDirectory(keeperDir)
	if err != nil {
		return nil, err
	}
	ln, err := listen(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("socket %s: %w", path, err), lock.Close())
	}
	return &Socket{UnixListener: ln, KeeperDir: keeperDir, lock: lock}, nil
}

func listen(path string) (*net.UnixListener, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	// The mode must be 0600 from the start: another process could connect before a chmod.
	// The umask belongs to the whole process, but no other goroutine creates files yet.
	defer unix.Umask(unix.Umask(0o177))
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return control(c, passCredentials) }}
	ln, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	return ln.(*net.UnixListener), nil
}

// removeStale removes the socket at path if its agent died, so that no process listens on it.
// It is an error if a process does, or if path is not a socket.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != os.ModeSocket {
		return errors.New("the path exists and is not a socket: remove it, or choose another path")
	}
	conn, err := net.Dial("unix", path)
	switch {
	case err == nil:
		return errors.Join(errors.New("another program listens on it: stop that program, or choose another socket"), conn.Close())
	case errors.Is(err, unix.ECONNREFUSED):
		return os.Remove(path)
	}
	return fmt.Errorf("checking whether another program listens on it: %w", err)
}

// passCredentials makes the kernel attach the sender's credentials to each message
// (unix(7), SO_PASSCRED). It must be set before the first message can be sent.
func passCredentials(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		return fmt.Errorf("setsockopt(SO_PASSCRED): %w", err)
	}
	return nil
}

func (s *Socket) control(f func(fd int) error) error {
	c, err := s.SyscallConn()
	if err != nil {
		return err
	}
	return control(c, f)
}

// control calls f with the descriptor of c.
func control(c syscall.RawConn, f func(fd int) error) error {
	var inner error
	if err := c.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// Unlock allows another agent to use the path of the socket. Close the socket first.
func (s *Socket) Unlock() error { return s.lock.Close() }
