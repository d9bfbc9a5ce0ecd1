package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// The kernel closes the connections of an agent that is killed. A runtime that has connected, and not
// yet sent its message, then fails after it has installed the filter: its next notified call waits
// for ever, because the runtime itself still holds the listener. So the deputy, a process that does
// nothing else, holds duplicates of such connections, and serves them when the agent has ended.

// DeputyName is the name, argv[0], of the deputy's process.
const DeputyName = "subuidless-deputy"

// The descriptors of a new deputy: its end of the socket pair. 0 and 1 are /dev/null, 2 is the
// agent's.
const deputySocket = 3

// deputyMessage is a message to the deputy. Only one of the fields is set.
type deputyMessage struct {
	Agent   *Agent `json:",omitempty"` // whose fields it needs; the first message
	Hold    uint64 `json:",omitempty"` // hold the connection that comes with the message under this number
	Release uint64 `json:",omitempty"` // close that connection
}

// maxDeputyMessage exceeds the size of every message.
const maxDeputyMessage = 64 << 10

// deputy is the deputy as the agent sees it.
type deputy struct {
	mu   sync.Mutex
	conn *net.UnixConn            // nil: there is none
	held map[uint64]*net.UnixConn // connections that it must hold
	last uint64                   // number of the newest one
}

// hold has the deputy hold a duplicate of conn, and returns a function that releases it. If there is
// no deputy, hold starts one.
func (a *Agent) hold(conn *net.UnixConn) (release func()) {
	if !a.Deputy {
		return func() {}
	}
	d := &a.deputy
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	number := d.last
	if d.held == nil {
		d.held = map[uint64]*net.UnixConn{}
	}
	d.held[number] = conn
	if d.conn == nil || d.send(deputyMessage{Hold: number}, conn) != nil {
		if err := a.startDeputy(); err != nil {
			a.Log.Warn("cannot start a process that serves this connection if the agent is killed", "error", err)
		}
	}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.held, number)
		if d.conn != nil {
			_ = d.send(deputyMessage{Release: number}, nil) // an error means that it has died
		}
	}
}

// startDeputy starts a deputy, which holds all connections. The caller holds a.deputy.mu.
func (a *Agent) startDeputy() error {
	d := &a.deputy
	if d.conn != nil {
		d.conn.Close()
		d.conn = nil
	}
	ours, theirs, err := fdpass.Pair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	if d.conn, err = fdpass.Conn(ours); err != nil {
		return err
	}
	cmd := userns.Command{
		Namespace: -1,
		Path:      "/proc/self/exe",
		Args:      []string{DeputyName},
		Env:       os.Environ(),
		Files:     []int{int(null.Fd()), int(null.Fd()), 2, int(theirs.Fd())},
	}
	pid, err := cmd.Start()
	if err != nil {
		return err
	}
	go userns.Wait(pid)
	err = d.send(deputyMessage{Agent: a}, nil)
	for number, conn := range d.held {
		if err == nil {
			err = d.send(deputyMessage{Hold: number}, conn)
		}
	}
	return err
}

// send sends a message, with a duplicate of conn unless it is nil. The caller holds d.mu.
func (d *deputy) send(m deputyMessage, conn *net.UnixConn) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if conn == nil {
		return fdpass.Write(d.conn, b)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	return control(raw, func(fd int) error { return fdpass.Write(d.conn, b, fd) })
}

// DeputyMain is the main function of the deputy's process. It returns the exit status.
func DeputyMain() int {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := runDeputy(log); err != nil {
		log.Error("the agent's deputy failed", "error", err)
		return 1
	}
	return 0
}

func runDeputy(log *slog.Logger) error {
	signal.Ignore(unix.SIGPIPE) // whoever reads the agent's messages may have ended with it
	if err := unix.Setpgid(0, 0); err != nil {
		log.Warn("the agent's deputy cannot leave its process group: signals of the terminal end it together with the agent", "error", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	agent, err := fdpass.Conn(os.NewFile(deputySocket, "socket of the agent"))
	if err != nil {
		return err
	}
	a := new(Agent)
	held := map[uint64]*os.File{}
	b := make([]byte, maxDeputyMessage)
	for {
		n, m, err := fdpass.Read(agent, b)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		var message deputyMessage
		if err := json.Unmarshal(b[:n], &message); err != nil {
			return fmt.Errorf("message of the agent: %w", err)
		}
		switch {
		case message.Agent != nil:
			a = message.Agent
		case message.Hold != 0 && len(m.FDs) == 1:
			held[message.Hold] = os.NewFile(uintptr(m.FDs[0]), "connection of a runtime")
		case message.Release != 0:
			held[message.Release].Close() // an error if it is nil
			delete(held, message.Release)
		}
	}
	a.Log = log
	var serving sync.WaitGroup
	for _, f := range held {
		conn, err := fdpass.Conn(f)
		if err != nil {
			return err
		}
		serving.Go(func() { a.serveConnection(context.Background(), conn) })
	}
	serving.Wait()
	return nil
}
