package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/agentproto"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// messageTimeout is how long a runtime may take to send its message. The
// container waits meanwhile, so none needs more.
const messageTimeout = 10 * time.Second

// Agent takes on the containers that runtimes hand over.
type Agent struct {
	// Log is told of each container taken on, and of each failure.
	Log *slog.Logger
	// Trace, Sidecar and NoPermissions are as in supervisor.Config.
	Trace, Sidecar string
	NoPermissions  bool

	containers keyedMutex
}

// Serve accepts connections until ctx is done. It returns when the last
// connection has been served.
func (a *Agent) Serve(ctx context.Context, socket *Socket) error {
	stop := context.AfterFunc(ctx, func() {
		if err := socket.Close(); err != nil {
			a.Log.Error("closing the socket", "error", err)
		}
	})
	defer stop()
	var connections sync.WaitGroup
	defer connections.Wait()
	for {
		conn, err := socket.AcceptUnix()
		switch {
		case err == nil:
			connections.Go(func() { a.serve(ctx, conn, socket.KeeperDir) })
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOMEM):
			// The connection stays queued, and its container waits.
			a.Log.Error("a runtime cannot be answered for lack of resources; trying again", "error", err)
			time.Sleep(time.Second)
		default:
			return fmt.Errorf("accepting connections: %w", err)
		}
	}
}

// serve takes on the process that one connection hands over.
func (a *Agent) serve(ctx context.Context, conn *net.UnixConn, keeperDir string) {
	defer func() {
		if err := conn.Close(); err != nil {
			a.Log.Warn("closing a connection", "error", err)
		}
	}()
	if err := checkPeer(conn); err != nil {
		a.Log.Warn("connection refused", "error", err)
		return
	}
	if err := conn.SetReadDeadline(time.Now().Add(messageTimeout)); err != nil {
		a.Log.Error("connection dropped", "error", err)
		return
	}
	process, err := agentproto.Receive(conn)
	if err != nil {
		a.Log.Error("connection dropped", "error", err)
		return
	}
	if err := a.takeOn(ctx, process, keeperDir); err != nil {
		a.Log.Error("container not taken on: its emulated system calls fail with ENOSYS", "id", process.ContainerID, "pid", process.Pid, "error", err)
	}
}

// takeOn hands a process to the supervisor of its container, and starts that
// if there is none.
func (a *Agent) takeOn(ctx context.Context, process *agentproto.Process, keeperDir string) (err error) {
	defer func() {
		// The supervisor has its own copy. Closing the last one makes the
		// kernel answer ENOSYS, so that the process does not wait for ever.
		err = errors.Join(err, process.Listener.Close())
	}()
	if err := checkListener(process.Listener); err != nil {
		return err
	}
	if process.ContainerID != "" {
		// Before anything that takes time: a process of the runtime's exec finds
		// the container taken on.
		defer a.containers.lock(process.ContainerID)()
	}
	if process.Status == specs.StateRunning {
		return a.join(process, keeperDir)
	}
	if err := checkFiltered(process.Pid); err != nil {
		return err
	}
	user, err := processUser(process)
	if err != nil {
		return err
	}
	started, err := awaitProgram(ctx, process.Listener, process.Pid, user)
	if err != nil {
		return err
	}
	p := supervisor.Process{Listener: process.Listener, Pid: process.Pid, User: user, Running: started}
	if process.ContainerID != "" {
		return a.start(process.ContainerID, p, keeperDir)
	}
	if process.ContainerID, err = unnamedID(process.Pid); err != nil {
		return err
	}
	defer a.containers.lock(process.ContainerID)()
	err = a.join(process, keeperDir)
	if errors.Is(err, supervisor.ErrNoKeeper) {
		err = a.start(process.ContainerID, p, keeperDir)
	}
	return err
}

// start starts the supervisor of a new container.
func (a *Agent) start(id string, p supervisor.Process, keeperDir string) error {
	if err := supervisor.Start(a.config(id, keeperDir), p); err != nil {
		return err
	}
	a.Log.Info("container taken on", "id", id, "pid", p.Pid)
	return nil
}

// join adds a process that was started in a running container.
func (a *Agent) join(process *agentproto.Process, keeperDir string) error {
	pid := process.Pid
	if pid > 0 {
		ok, err := inspectable(pid)
		if err != nil {
			return err
		}
		if !ok {
			pid = 0 // the supervisor takes it to be in the container's namespaces
		}
	}
	if err := supervisor.Join(a.config(process.ContainerID, keeperDir), supervisor.Process{Listener: process.Listener, Pid: pid}); err != nil {
		return err
	}
	a.Log.Info("process joins its container", "id", process.ContainerID, "pid", process.Pid)
	return nil
}

func (a *Agent) config(id, keeperDir string) supervisor.Config {
	return supervisor.Config{ID: id, SocketDir: keeperDir, Trace: a.Trace, Sidecar: a.Sidecar, NoPermissions: a.NoPermissions}
}
