// Package agent is the OCI seccomp agent: it listens for OCI runtimes, and
// starts a supervisor for each container that they hand over.
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

// Socket is the socket that runtimes connect to.
type Socket struct {
	*net.UnixListener
	// KeeperDir is the directory beside the socket for the keepers' own.
	KeeperDir string

	lock *os.File
}

// Listen returns the socket given by systemd if there is one, and creates the
// socket path otherwise. An empty path is DefaultSocket.
func Listen(path string) (*Socket, error) {
	activated, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("sockets from systemd: %w", err)
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

// adopt takes over the socket that systemd listens on. It stays when the agent
// ends.
func adopt(activated []net.Listener, path string) (*Socket, error) {
	if len(activated) > 1 {
		return nil, fmt.Errorf("systemd gave %d sockets: the agent's .socket unit should have one ListenStream=", len(activated))
	}
	ln, ok := activated[0].(*net.UnixListener)
	if !ok {
		return nil, fmt.Errorf("systemd gave a %s socket: OCI runtimes connect to a unix stream socket (ListenStream=%%t/subuidless.sock)", activated[0].Addr().Network())
	}
	name := ln.Addr().String()
	if !filepath.IsAbs(name) {
		return nil, fmt.Errorf("systemd gave the socket %q: OCI runtimes connect to an absolute path (ListenStream=%%t/subuidless.sock)", name)
	}
	if path != "" && path != name {
		return nil, fmt.Errorf("systemd gave the socket %s, and the command line says %s: leave out one of them", name, path)
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

// create makes a new socket that only the user can connect to.
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
	// Mode 0600 from the start: a chmod would come after the first connection.
	// The umask is the process's, but nothing else runs yet.
	defer unix.Umask(unix.Umask(0o177))
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return control(c, passCredentials) }}
	ln, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	return ln.(*net.UnixListener), nil
}

// removeStale removes the socket of an agent that has died.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != os.ModeSocket {
		return errors.New("the path exists and is not a socket: remove it, or choose another")
	}
	conn, err := net.Dial("unix", path)
	switch {
	case err == nil:
		return errors.Join(errors.New("another program listens on it: stop that one, or choose another socket"), conn.Close())
	case errors.Is(err, unix.ECONNREFUSED):
		return os.Remove(path)
	}
	return fmt.Errorf("finding out whether a program still listens on it: %w", err)
}

// passCredentials makes the kernel tell the sender of each message. It must be
// set before the first one can be sent.
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

// control runs f on the descriptor of a socket.
func control(c syscall.RawConn, f func(fd int) error) error {
	var inner error
	if err := c.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// Unlock lets another agent have the socket. The listener must be closed.
func (s *Socket) Unlock() error { return s.lock.Close() }
