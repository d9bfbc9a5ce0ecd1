package session

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/supervisor"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// DefaultName is the name of the session that commands use if the user gives none.
const DefaultName = "default"

// DefaultLinger is how long a session stays when nothing is left in it: long enough for the
// next command that somebody types, which then needs no new namespaces.
const DefaultLinger = 5 * time.Minute

// Options are the options of Exec.
type Options struct {
	Name string   // of the session
	Args []string // the command and its arguments; at least one
	Env  []string // its environment
	// Linger is how long a new session stays when nothing is left in it.
	Linger time.Duration
	// Supervisor is the configuration of a new session's supervisor. Exec sets the ID,
	// the directory and the session.
	Supervisor supervisor.Config
	// Accelerate is what the user has asked for with --accelerate: Exec warns if the session differs
	// from on or off.
	Accelerate string
	// Etc are files that a new session shows in place of those in /etc: names and contents.
	Etc map[string]string
	// Notice is shown to the user if the command starts the session; empty: nothing.
	Notice string
	// Recover returns a command that brings containers into a state in which they can be
	// started, after the session and their processes were killed. Nil: none is needed.
	Recover func(containers []string) []string

	// Summary has Exec write a summary of the session's notifications meanwhile: see launch.
	Summary bool

	// Server is a server that the command connects to; nil: none.
	Server *Server

	stdio  []*os.File // nil: the caller's
	setsid bool
}

// Exec runs a command in a session, which it starts if it does not exist, and returns its exit
// status like launch.Exec. If the caller is supervised already, Exec replaces the calling
// process with the command.
func Exec(o Options) (status int, err error) {
	if supervisor.Active() {
		return launch.Exec(launch.ExecOptions{Args: o.Args, Env: o.Env, Summary: o.Summary, Supervisor: o.Supervisor})
	}
	if err := checkName(o.Name); err != nil {
		return launch.StatusFailed, err
	}
	c, err := start(o)
	if err != nil {
		return launch.StatusFailed, err
	}
	return c.Run()
}

// start starts a command in its session, but does not let it run yet.
func start(o Options) (*launch.Command, error) {
	s, err := openSessions()
	if err != nil {
		return nil, err
	}
	defer s.close()
	if o.Server != nil {
		if o.Env, err = s.serve(o); err != nil {
			return nil, err
		}
	}
	return s.start(o)
}

// start starts a command in its session, but does not let it run yet.
func (s *sessions) start(o Options) (*launch.Command, error) {
	entry, err := s.enter(o.Name)
	if errors.Is(err, supervisor.ErrNoKeeper) {
		dead, e := s.bury(o.Name)
		if e == nil && len(dead) > 0 && o.Recover != nil {
			if e = s.recover(o, dead); e == nil {
				entry, err = s.enter(o.Name)
			}
		}
		if e != nil {
			return nil, e
		}
	}
	if errors.Is(err, supervisor.ErrNoKeeper) {
		return s.startFirst(o)
	}
	if err != nil {
		return nil, err
	}
	defer entry.Close()
	warnOfDifferences(o, entry.Config)
	o.Supervisor.NoPermissions, o.Supervisor.Accelerate = entry.Config.NoPermissions, entry.Config.Accelerate
	return launch.StartIn(launch.ExecOptions{Args: o.Args, Env: o.Env, Stdio: o.stdio, Setsid: o.setsid, Summary: o.Summary, Supervisor: o.Supervisor}, entry)
}

// recover starts the session again, after it died with containers, and recovers these.
func (s *sessions) recover(o Options, containers []string) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	o.Args, o.stdio, o.Summary = o.Recover(containers), []*os.File{null, null, os.Stderr}, false
	c, err := s.startFirst(o)
	if err != nil {
		return err
	}
	_, err = c.Run() // an error of the command concerns its containers only
	return err
}

// startFirst starts the session, and its first command.
func (s *sessions) startFirst(o Options) (_ *launch.Command, err error) {
	dir := s.dir(o.Name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, s.explain(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.remove(o.Name))
		}
	}()
	cfg := o.Supervisor
	cfg.ID, cfg.SocketDir = o.Name, dir
	cfg.Session = &supervisor.Session{
		Linger:  o.Linger,
		Started: time.Now(),
		Log:     filepath.Join(dir, "log"),
		Lock:    s.path,
	}
	etc, err := s.writeEtc(o)
	if err != nil {
		return nil, s.explain(err)
	}
	c, err := launch.Start(launch.ExecOptions{Args: o.Args, Env: o.Env, Stdio: o.stdio, Setsid: o.setsid, Summary: o.Summary, View: &launch.View{Etc: etc}, Supervisor: cfg})
	if err != nil {
		return nil, err
	}
	if c.Ended() {
		return c, s.remove(o.Name)
	}
	if o.Notice != "" {
		fmt.Fprintln(os.Stderr, "subuidless:", o.Notice)
	}
	entry, err := supervisor.Enter(cfg)
	if err != nil {
		return nil, errors.Join(err, c.Abort())
	}
	defer entry.Close()
	inode, err := userns.Inode(int(entry.UserNS.Fd()))
	if err == nil {
		err = s.writeRecord(o.Name, inode)
	}
	if err != nil {
		return nil, errors.Join(s.explain(err), c.Abort(), endSession(entry))
	}
	return c, nil
}

// restartPatience is how long a worker or witness may take to replace a keeper.
const restartPatience = 10 * time.Second

// enter asks the keeper of a session for its namespaces. The error is supervisor.ErrNoKeeper if
// there is none, nor a worker or witness that could start one.
func (s *sessions) enter(name string) (*supervisor.Entry, error) {
	for end := time.Now().Add(restartPatience); ; time.Sleep(pollEvery) {
		entry, err := supervisor.Enter(s.config(name))
		if errors.Is(err, os.ErrNotExist) { // there is no such directory
			return nil, supervisor.ErrNoKeeper
		}
		if !errors.Is(err, supervisor.ErrNoKeeper) {
			return entry, err
		}
		r, ok, rerr := s.readRecord(name)
		if rerr != nil || !ok {
			return nil, errors.Join(err, rerr)
		}
		m, e := findMembers(r.UserNS)
		witnessed := false
		if e == nil && !m.worker {
			witnessed, e = s.witnessed(name)
		}
		switch {
		case e != nil || !m.worker && !witnessed:
			return nil, errors.Join(err, e)
		case time.Now().After(end):
			return nil, fmt.Errorf("the supervisor of session %s is being started again, but does not answer: try again, or see %s", name, filepath.Join(s.dir(name), "log"))
		}
	}
}

// count returns a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// list returns names after an introduction, or nothing if there are none.
func list(names []string, introduction string) string {
	if len(names) == 0 {
		return ""
	}
	return introduction + strings.Join(names, ", ")
}

// warnOfDifferences warns the user about options that have no effect, because the supervisor
// of the session has been started with others.
func warnOfDifferences(o Options, has supervisor.Config) {
	accelerated := has.Accelerate > 0
	for _, d := range []struct {
		flag    string
		differs bool
	}{
		{"--trace", o.Supervisor.Trace != "" && o.Supervisor.Trace != has.Trace},
		{"--permissions=off", o.Supervisor.NoPermissions && !has.NoPermissions},
		{"--accelerate=on", o.Accelerate == "on" && !accelerated},
		{"--accelerate=off", o.Accelerate == "off" && accelerated},
		{"--sidecar", o.Supervisor.Sidecar != "" && o.Supervisor.Sidecar != has.Sidecar},
	} {
		if d.differs {
			fmt.Fprintf(os.Stderr, "subuidless: %s has no effect: session %s has been started without it; stop that session first (subuidless session stop %[2]s), or choose another one with --session\n", d.flag, o.Name)
		}
	}
}
