package ociruntime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/agent"
	"github.com/rootless-containers/subuidless/internal/agentproto"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// errNoListener means that the runtime has ended without sending a listener.
var errNoListener = errors.New("the runtime has not sent a seccomp listener")

// listen creates the socket that the adapted configuration names as listenerPath.
func (s *state) listen() (*net.UnixListener, error) {
	path := s.path(socketName)
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("socket %s: the path is too long: it has %d bytes, but the kernel allows %d; choose a shorter --root", path, len(path), maxSocketPath)
	}
	// A process that was killed has left its socket.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
}

// superviseFrom waits until the runtime c connects to l, and hands the process that it sends
// over to the container's supervisor. If later is true and the runtime ends without having
// sent it, a starter does that: see handOverLater. The error is errNoListener if the runtime
// ends without connecting. After any other error, the process is killed: it must not run
// unsupervised.
func (r *runtime) superviseFrom(l *net.UnixListener, c *child, s *state, later bool) error {
	if arrived, err := awaitInput(l, c.pidfd); err != nil || !arrived {
		if err == nil {
			err = errNoListener
		}
		return err
	}
	conn, err := l.AcceptUnix()
	if err != nil {
		return err
	}
	defer conn.Close()
	arrived, err := awaitInput(conn, c.pidfd)
	switch {
	case err != nil:
		return err
	case !arrived && later:
		return r.handOverLater(conn, s)
	}
	// The container's first process holds the connection open until it has sent the message.
	process, err := agentproto.Receive(conn)
	if err != nil {
		return errNoListener
	}
	return r.handOver(process, s.dir)
}

// handOver hands a process over to the container's supervisor. If that fails, the process is
// killed.
func (r *runtime) handOver(process *agentproto.Process, dir string) error {
	a := &agent.Agent{
		Log:       slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		KeeperDir: dir,
		Trace:     r.supervisor.Trace, Sidecar: r.supervisor.Sidecar, NoPermissions: r.supervisor.NoPermissions,
	}
	if err := a.Supervise(context.Background(), process, r.user); err != nil {
		return fmt.Errorf("container %s cannot be supervised: %w", process.ContainerID, err)
	}
	return nil
}

// awaitInput reports whether c, a connection or a listening socket, has something to read. It
// waits for that, or for the end of the process of pidfd.
func awaitInput(c syscall.Conn, pidfd int) (arrived bool, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return false, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(pidfd), Events: unix.POLLIN}}
		for {
			_, err = unix.Poll(fds, -1)
			if err == nil && fds[0].Revents == 0 {
				// The process has ended: it has written before, or never will.
				_, err = unix.Poll(fds[:1], 0)
			}
			if err != unix.EINTR {
				break
			}
		}
		arrived = fds[0].Revents != 0
	})
	return arrived, errors.Join(controlErr, err)
}

// supervisorTimeout limits how long to wait for the end of the supervisor of a container that
// has ended. It lives on if processes of the container do, outside of its PID namespace.
const supervisorTimeout = 5 * time.Second

// settle removes what is left of a container that the runtime no longer has, after its
// supervisor has ended. It does nothing if the runtime has the container.
func (r *runtime) settle(s *state, id string) error {
	if r.exists(id) {
		return s.unlock()
	}
	if err := s.awaitStarter(); err != nil {
		return errors.Join(err, s.unlock())
	}
	ctx, cancel := context.WithTimeout(context.Background(), supervisorTimeout)
	defer cancel()
	err := supervisor.Wait(ctx, supervisor.Config{ID: id, SocketDir: s.dir})
	return errors.Join(err, s.remove())
}
