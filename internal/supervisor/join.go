package supervisor

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// A keeper listens on a socket in Config.SocketDir that is named after the container.
// So the container's own supervisor also answers for the processes that a runtime's
// exec starts, even if the agent has been restarted meanwhile.

// Join passes a further process of a running container, which a runtime's exec has
// started, to the container's keeper. If p.Pid is 0, as crun does not pass it, the
// process must be in the namespaces of the container's other processes. If the keeper has
// been killed, Join waits for the next one. The error is ErrNoKeeper if there is none, or a *Silent.
func Join(cfg Config, p Process) error {
	var fds []int
	for end := time.Now().Add(restartPatience); ; time.Sleep(joinEvery) {
		c, err := dial(cfg)
		if err == nil {
			if fds == nil {
				if fds, err = openRequest(p); err != nil {
					c.Close()
					return err
				}
				defer fdpass.Close(fds[1:])
			}
			err = c.requestOf(cfg.ID, message{User: p.User}, fds...)
			c.Close()
			if err == nil {
				return nil
			}
			err = fmt.Errorf("cannot pass process %d to the supervisor of container %s: %w", p.Pid, cfg.ID, err)
		}
		if !keeperDied(err) || time.Now().After(end) && !witnessed.has(cfg) {
			return err
		}
	}
}

// restartPatience is how long Join waits for a worker to replace a killed keeper. Where this
// process is the witness, Join knows how long there is something to wait for.
const restartPatience = 10 * time.Second

// joinEvery is how often Join looks for the next keeper.
const joinEvery = 10 * time.Millisecond

// errKilled means that the socket of a keeper is left that does not exist anymore. One that ends
// by itself removes it.
var errKilled = fmt.Errorf("%w: it was killed", ErrNoKeeper)

// keeperDied reports whether err means that the keeper was killed before or during a request.
func keeperDied(err error) bool {
	return errors.Is(err, errKilled) || fdpass.PeerGone(err)
}

// Wait waits until the supervisor of a container has ended. It returns at once if none runs.
// The error is that of ctx, or says that the supervisor cannot be reached.
func Wait(ctx context.Context, cfg Config) error {
	c, err := dial(cfg)
	if errors.Is(err, ErrNoKeeper) {
		return nil
	}
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	defer c.Close()
	var b [1]byte
	_ = c.awaitKeeper(cfg.ID, time.Time{}, func() error { // until the keeper exits: it sends nothing
		_, err := c.Read(b[:])
		return err
	})
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("processes of container %s are still running: %w", cfg.ID, err)
	}
	return nil
}

// dial connects to the keeper of a container. The error is ErrNoKeeper if none listens.
func dial(cfg Config) (conn, error) {
	return dialSocket(cfg.SocketDir, cfg.socketName())
}

// dialSocket does the same for the keeper's socket of that name in dir.
func dialSocket(dir, name string) (c conn, err error) {
	err = inDir(dir, name, func(addr *net.UnixAddr) error {
		u, err := net.DialUnix("unixpacket", nil, addr)
		c = conn{u}
		return err
	})
	switch {
	case errors.Is(err, unix.ENOENT):
		return conn{}, ErrNoKeeper
	case errors.Is(err, unix.ECONNREFUSED):
		return conn{}, errKilled
	}
	return c, err
}

// inDir calls f with the address of the keeper's socket of that name in path. The address goes
// through a descriptor of the directory, because the path of a socket is limited to 107 bytes
// (unix(7)).
func inDir(path, name string, f func(*net.UnixAddr) error) error {
	dir, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(dir)
	return f(&net.UnixAddr{Net: "unixpacket", Name: filepath.Join("/proc/self/fd", strconv.Itoa(dir), name)})
}

// CheckPrivate returns an error if other users have access to the directory dir, in which keepers
// are to listen: see Config.SocketDir.
func CheckPrivate(dir *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &st); err != nil {
		return fmt.Errorf("stat %s: %w", dir.Name(), err)
	}
	if int(st.Uid) != os.Geteuid() || st.Mode&0o077 != 0 {
		return fmt.Errorf("directory %s has owner %d and mode %04o; it must be yours alone: remove it, or run chmod 700 on it", dir.Name(), st.Uid, st.Mode&0o7777)
	}
	return nil
}

// socketPrefix is the start of the name of a keeper's socket.
const socketPrefix = "id-"

// newSocket is the start of the name of a keeper's socket until it listens.
const newSocket = "new-"

// maxSocketName leaves room for "/proc/self/fd/N/" and newSocket in the address.
const maxSocketName = 80

// socketPath returns the path of the keeper's socket.
func (cfg *Config) socketPath() string { return filepath.Join(cfg.SocketDir, cfg.socketName()) }

// socketName returns the file name of the keeper's socket. Different containers have
// different names.
func (cfg *Config) socketName() string {
	name := socketPrefix + url.PathEscape(cfg.ID)
	if len(name) > maxSocketName {
		h := fnv.New64a()
		io.WriteString(h, cfg.ID) // never an error
		name = name[:maxSocketName-17] + "-" + strconv.FormatUint(h.Sum64(), 16)
	}
	return name
}

// listen creates the keeper's socket, unless Config.SocketDir is empty, and serves it
// until the keeper exits. It logs the error that it returns.
func (k *keeper) listen() error {
	if k.cfg.SocketDir == "" {
		return nil
	}
	err := k.openSocket()
	if err != nil {
		slog.Error("cannot listen on the container's socket; processes that the runtime's exec starts will not be supervised", "container", k.cfg.ID, "err", err)
	}
	return err
}

// openSocket creates the keeper's socket and starts to accept connections.
func (k *keeper) openSocket() error {
	path := k.cfg.socketPath()
	var l *net.UnixListener
	// A keeper that was killed has left its socket. Until another one takes its place, Join waits.
	err := inDir(k.cfg.SocketDir, k.cfg.socketName(), func(addr *net.UnixAddr) (err error) {
		last := addr.Name
		addr.Name = filepath.Join(filepath.Dir(last), newSocket+filepath.Base(last))
		if err := os.Remove(addr.Name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if l, err = net.ListenUnix("unixpacket", addr); err != nil {
			return err
		}
		l.SetUnlinkOnClose(false) // the descriptor in its address is closed
		if err = unix.Stat(addr.Name, &k.socketFile); err == nil {
			err = os.Rename(addr.Name, last)
		}
		if err != nil {
			l.Close()
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := unix.Stat(k.cfg.SocketDir, &k.socketDir); err != nil {
		l.Close()
		return &os.PathError{Op: "stat", Path: k.cfg.SocketDir, Err: err}
	}
	go func() {
		for {
			u, err := l.AcceptUnix()
			if err != nil {
				return
			}
			go k.serve(conn{u})
		}
	}()
	k.socket = path
	return nil
}

// ownsDirectory reports whether Config.SocketDir is the directory in which the keeper has
// created its socket. Somebody may have removed that, and others have created another one.
func (k *keeper) ownsDirectory() bool { return isFile(k.cfg.SocketDir, &k.socketDir) }

// isFile reports whether name leads to the file whose status was st.
func isFile(name string, st *unix.Stat_t) bool {
	var now unix.Stat_t
	return unix.Stat(name, &now) == nil && now.Dev == st.Dev && now.Ino == st.Ino
}

// removeSocket removes the keeper's socket, if there is one. The container may have been started again
// before this keeper noticed its end: then the socket is that of another keeper.
func (k *keeper) removeSocket() error {
	if k.socket == "" || !isFile(k.socket, &k.socketFile) {
		return nil
	}
	err := os.Remove(k.socket)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// serve answers the requests of a connection. Only the user can connect, because of the
// permissions of the socket's directory. Root could, but does not belong here: its process
// would be supervised with the user's privileges.
func (k *keeper) serve(c conn) {
	defer c.Close()
	if peer, err := fdpass.Peer(c.UnixConn); err != nil || int(peer.Uid) != os.Geteuid() {
		slog.Warn("another user has connected to the container's socket", "container", k.cfg.ID, "peer", peer, "err", err)
		return
	}
	entered := false
	for {
		m, fds, err := c.receive()
		if err != nil {
			break
		}
		switch m.Request {
		case requestListener:
			if err = k.join(fds, m); err == nil {
				fds = nil // the keeper's own now
			}
			err = c.answer(err)
		case requestEnter:
			err = k.enter(c, &entered)
		case requestEnd:
			err = k.endSession(c)
		case requestWatch:
			err = k.watchedBy(c)
		default:
			err = c.answer(fmt.Errorf("this supervisor is older than subuidless %s", m.Request))
		}
		fdpass.Close(fds)
		if err != nil {
			slog.Warn("the process that asked the supervisor exited before the answer", "container", k.cfg.ID, "err", err)
			break
		}
	}
	if entered {
		k.leave()
	}
}

// join starts to supervise a further process, whose descriptors are fds: see requestFDs. On an
// error, the caller closes them.
func (k *keeper) join(fds []int, m message) (err error) {
	if len(fds) != requestFDs && len(fds) != 1 {
		return fmt.Errorf("received %d descriptors with a listener, want %d or 1", len(fds), requestFDs)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	home := k.namespaces()
	if k.ended || home == nil {
		return errEnded
	}
	if len(fds) == 1 {
		var own []int
		if own, err = duplicate(home[fdListener+1:]); err != nil {
			return err
		}
		defer func() {
			if err != nil {
				fdpass.Close(own)
			}
		}()
		fds = append(fds, own...)
	}
	same, err := userns.Equal(home[fdUserNS], fds[fdUserNS])
	if err != nil {
		return err
	}
	if !same {
		return fmt.Errorf("the process is in another user namespace than container %s", k.cfg.ID)
	}
	if k.supervises(fds[fdListener]) { // Join has repeated the request to a keeper that was killed
		fdpass.Close(fds)
		return nil
	}
	for end := time.Now().Add(restartPatience); ; {
		worker := k.worker
		if err = k.addListener(fds, m); !workerDied(err) {
			return err
		}
		if e := k.awaitNextWorker(worker, end); e != nil {
			return e
		}
	}
}

// workerDied reports whether err means that the worker was killed before or during a request.
func workerDied(err error) bool { return fdpass.PeerGone(err) || errors.Is(err, net.ErrClosed) }

// awaitNextWorker waits until another worker has taken the place of a dead one. It is an error if the
// container ends meanwhile, or if that takes longer than until end. The caller holds k.mu, which
// restartWorker needs.
func (k *keeper) awaitNextWorker(dead conn, end time.Time) error {
	for k.worker == dead {
		if time.Now().After(end) {
			return errors.New("the worker was killed, and no other one has started yet: try again, and see the log of the supervisor")
		}
		k.mu.Unlock()
		time.Sleep(joinEvery)
		k.mu.Lock()
		if k.ended || k.namespaces() == nil {
			return errEnded
		}
	}
	return nil
}

// supervises reports whether the keeper has a duplicate of a listener. The caller holds k.mu.
func (k *keeper) supervises(listener int) bool {
	for _, fds := range k.listeners {
		if fds != nil && sys.SameFile(fds[fdListener], listener) {
			return true
		}
	}
	return false
}
