package supervisor

import (
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

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// A keeper listens on a socket of its own, named after the container, in
// Config.SocketDir: so the process that a runtime's exec starts in a container
// is served by the container's own supervisor, even if the agent was started
// anew meanwhile.

// Join hands a further process of a running container to its keeper: one started
// by the runtime's exec. Its Pid may be 0 (crun does not tell it): then the
// process is taken to be in the namespaces of the container. It returns
// ErrNoKeeper if there is no keeper.
func Join(cfg Config, p Process) error {
	c, err := dial(cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	fds, err := openRequest(p)
	if err != nil {
		return err
	}
	defer fdpass.Close(fds[1:])
	if err := c.request(message{User: p.User}, fds...); err != nil {
		return fmt.Errorf("handing process %d to the supervisor of container %s: %w", p.Pid, cfg.ID, err)
	}
	return nil
}

func dial(cfg Config) (c conn, err error) {
	err = inDir(cfg, func(addr *net.UnixAddr) error {
		u, err := net.DialUnix("unixpacket", nil, addr)
		c = conn{u}
		return err
	})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ECONNREFUSED) {
		return conn{}, ErrNoKeeper
	}
	return c, err
}

// inDir calls f with the address of the keeper's socket. It goes through a
// descriptor of the directory, because the path of a socket may have 107 bytes
// only.
func inDir(cfg Config, f func(*net.UnixAddr) error) error {
	dir, err := unix.Open(cfg.SocketDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: cfg.SocketDir, Err: err}
	}
	defer unix.Close(dir)
	return f(&net.UnixAddr{Net: "unixpacket", Name: filepath.Join("/proc/self/fd", strconv.Itoa(dir), cfg.socketName())})
}

// maxSocketName leaves room for "/proc/self/fd/N/" in the address.
const maxSocketName = 80

// socketName is the file name of the keeper's socket.
func (cfg *Config) socketName() string {
	name := "id-" + url.PathEscape(cfg.ID)
	if len(name) > maxSocketName {
		h := fnv.New64a()
		io.WriteString(h, cfg.ID) // never an error
		name = name[:maxSocketName-17] + "-" + strconv.FormatUint(h.Sum64(), 16)
	}
	return name
}

// listen makes the keeper's socket, if it is to have one, and serves it until
// the container ends.
func (k *keeper) listen() {
	if k.cfg.SocketDir == "" {
		return
	}
	if err := k.openSocket(); err != nil {
		slog.Error("processes that the runtime's exec starts in the container will not be served", "container", k.cfg.ID, "err", err)
	}
}

func (k *keeper) openSocket() error {
	path := filepath.Join(k.cfg.SocketDir, k.cfg.socketName())
	// Left by a keeper that was killed: dial has found nobody there.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var l *net.UnixListener
	err := inDir(k.cfg, func(addr *net.UnixAddr) (err error) {
		l, err = net.ListenUnix("unixpacket", addr)
		return err
	})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false) // its address is of no use any more
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

// serve answers one request for a further listener. The directory of the socket
// lets nobody else but the user in.
func (k *keeper) serve(c conn) {
	defer c.Close()
	m, fds, err := c.receive()
	if err != nil {
		return
	}
	err = k.join(fds, m)
	if err != nil {
		fdpass.Close(fds)
	}
	if err := c.answer(err); err != nil {
		slog.Warn("the agent is gone", "container", k.cfg.ID, "err", err)
	}
}

// join takes on the listener of a further process.
func (k *keeper) join(fds []int, m message) error {
	if len(fds) != requestFDs && len(fds) != 1 {
		return fmt.Errorf("got %d descriptors with a listener, want %d or 1", len(fds), requestFDs)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	first := k.first()
	if first == nil {
		return errors.New("the container has just ended")
	}
	if len(fds) == 1 {
		for _, fd := range first[fdListener+1:] {
			dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				fdpass.Close(fds[1:])
				return fmt.Errorf("duplicating a descriptor: %w", err)
			}
			fds = append(fds, dup)
		}
	}
	same, err := userns.Equal(first[fdUserNS], fds[fdUserNS])
	if err != nil {
		return err
	}
	if !same {
		return fmt.Errorf("the process is in another user namespace than container %s", k.cfg.ID)
	}
	return k.add(fds, m)
}
