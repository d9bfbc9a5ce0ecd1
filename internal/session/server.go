package session

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Server is a server that runs in a session, and ends by itself when nobody uses it.
type Server struct {
	// Socket is the name of its socket in the directory of the session.
	Socket string
	// Args returns its command line. Path is that of the socket.
	Args func(path string) []string
	// Env returns the environment of a command that connects to it.
	Env func(env []string, path string) []string
}

// serverPatience is how long a server may take to start.
const serverPatience = 20 * time.Second

// serve starts the server of o, unless it is running, and returns the environment of the
// command that connects to it.
func (s *sessions) serve(o Options) ([]string, error) {
	path := filepath.Join(s.dir(o.Name), o.Server.Socket)
	if !accepts(path) {
		if err := s.startServer(o, path); err != nil {
			return nil, err
		}
	}
	return o.Server.Env(o.Env, path), nil
}

// startServer starts the server of o, and waits until it accepts connections at path.
func (s *sessions) startServer(o Options, path string) error {
	server := o
	server.Args, server.setsid = o.Server.Args(path), true
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	server.stdio = []*os.File{null, null, null}
	c, err := s.start(server)
	if err != nil {
		return err
	}
	ended, err := c.Detach()
	if err != nil {
		return err
	}
	timeout := time.After(serverPatience)
	for !accepts(path) {
		select {
		case <-ended:
			return fmt.Errorf("%s ended: to see why, run: subuidless session exec -- %[1]s", strings.Join(server.Args, " "))
		case <-timeout:
			return errors.Join(fmt.Errorf("%s does not listen on %s", strings.Join(server.Args, " "), path), c.Abort())
		case <-time.After(pollEvery):
		}
	}
	return nil
}

// accepts reports whether a server accepts connections at path.
func accepts(path string) bool {
	c, err := net.Dial("unix", path)
	if err != nil {
		return false
	}
	c.Close()
	return true
}
