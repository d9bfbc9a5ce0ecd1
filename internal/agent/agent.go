package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/agentproto"
)

// retryInterval is the time between attempts to accept a connection while resources are
// exhausted.
const retryInterval = time.Second

// Agent hands containers over to supervisors. Set the fields before the first call of a
// method, and do not change them afterwards.
type Agent struct {
	// Log receives a message for each container and process handed over and, from Serve,
	// one for each failure. It must not be nil.
	Log *slog.Logger `json:"-"`
	// KeeperDir is the directory in which the keeper of each container listens for the
	// processes that a runtime's exec starts in it later. It must exist, and only the
	// user may have access to it (mode 0700): whoever can connect to a keeper can have
	// processes supervised. Socket.KeeperDir is such a directory. If KeeperDir is empty,
	// keepers do not listen, and such processes cannot be handed over.
	KeeperDir string
	// Trace, Sidecar and NoPermissions are those of supervisor.Config.
	Trace, Sidecar string
	NoPermissions  bool
	// Deputy has Serve start a process that serves the connections on which no message has arrived
	// when the agent ends, for whatever reason. It is the calling program, executed anew: its main
	// function must call DeputyMain if argv[0] is DeputyName.
	Deputy bool `json:"-"`

	// containers serializes the calls of HandOver for each container id.
	containers keyedMutex
	deputy     deputy
}

// Serve accepts connections of runtimes on socket, and hands over the process that each
// one sends. When ctx is done, it closes socket and the connections on which no message has
// arrived, unless a deputy serves them, and returns nil after the others have been served. The error is
// that of accept(2).
func (a *Agent) Serve(ctx context.Context, socket *Socket) error {
	stop := context.AfterFunc(ctx, func() {
		if err := socket.Close(); err != nil {
			a.Log.Error("cannot close the socket", "error", err)
		}
	})
	defer stop()
	var connections sync.WaitGroup
	defer connections.Wait()
	for {
		conn, err := socket.AcceptUnix()
		switch {
		case err == nil:
			connections.Go(func() { a.serveConnection(ctx, conn) })
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOMEM):
			// The connection stays queued, and its container waits.
			a.Log.Error("cannot accept a connection for lack of resources; trying again", "error", err)
			time.Sleep(retryInterval)
		default:
			return fmt.Errorf("accepting connections: %w", err)
		}
	}
}

// serveConnection hands over the process that a runtime sends on conn, and closes conn.
func (a *Agent) serveConnection(ctx context.Context, conn *net.UnixConn) {
	defer func() {
		if err := conn.Close(); err != nil {
			a.Log.Warn("cannot close a connection", "error", err)
		}
	}()
	if err := checkPeer(conn); err != nil {
		a.Log.Warn("connection refused", "error", err)
		return
	}
	// With noNewPrivileges, crun connects when the container is created, and sends the message
	// when it is started, however much later. The connection ends with the process.
	release := a.hold(conn)
	stop := context.AfterFunc(ctx, func() {
		if err := conn.SetReadDeadline(time.Now()); err != nil && !errors.Is(err, net.ErrClosed) {
			a.Log.Warn("cannot end a connection", "error", err)
		}
	})
	process, err := agentproto.Receive(conn)
	stop()
	if errors.Is(err, os.ErrDeadlineExceeded) && a.Deputy {
		a.Log.Info("the agent stops; a process of it waits until a container that has been created is started")
		return
	}
	release()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errors.New("the agent has been stopped: containers that have been created, but not started, must be created again")
	}
	if err != nil {
		a.Log.Error("connection dropped", "error", err)
		return
	}
	if err := a.Supervise(ctx, process, nil); err != nil {
		a.Log.Error("process killed, because it cannot be supervised", "id", process.ContainerID, "pid", process.Pid, "error", err)
	}
}
