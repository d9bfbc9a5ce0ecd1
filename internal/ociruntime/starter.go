package ociruntime

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/agentproto"
	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/supervisor"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// StarterName is the name, argv[0], of the process that handOverLater starts. Its main
// function is StarterMain.
const StarterName = "subuidless-starter"

// starterOptions is the argument of a starter, in JSON.
type starterOptions struct {
	Dir            string // state directory
	Log, LogFormat string // a file, and its format
	Kind           kind
	Supervisor     supervisor.Config
}

// The descriptors of a starter. 0 to 2 are /dev/null.
const (
	starterConn = 3 + iota
	starterLock
)

// handOverLater starts a process, the starter, which waits on conn until the container's
// first process sends its listener, and hands it over then.
//
// With noNewPrivileges, crun installs the filter just before it executes the program: the
// listener arrives after start, when create has long ended.
func (r *runtime) handOverLater(conn *net.UnixConn, s *state) error {
	options, err := json.Marshal(starterOptions{Dir: s.dir, Log: r.logFile, LogFormat: r.logFormat, Kind: r.backend.kind, Supervisor: r.supervisor})
	if err != nil {
		return err
	}
	pending, err := os.OpenFile(s.path(pendingName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer pending.Close()
	if err := sys.Flock(int(pending.Fd()), unix.LOCK_EX); err != nil {
		return os.NewSyscallError("flock", err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	file, err := conn.File()
	if err != nil {
		return err
	}
	defer file.Close()
	cmd := userns.Command{
		Namespace: -1,
		Path:      "/proc/self/exe",
		Args:      []string{StarterName, string(options)},
		Env:       os.Environ(),
		Files:     []int{int(null.Fd()), int(null.Fd()), int(null.Fd()), starterConn: int(file.Fd()), starterLock: int(pending.Fd())},
	}
	if _, err := cmd.Start(); err != nil {
		return fmt.Errorf("starting a process that waits for the start of the container: %w", err)
	}
	return nil
}

// awaitStarter waits until the starter of the container, if it has one, has ended. A container
// that is created, but not started, has one.
func (s *state) awaitStarter() error {
	f, err := os.Open(s.path(pendingName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return os.NewSyscallError("flock", sys.Flock(int(f.Fd()), unix.LOCK_SH))
}

// StarterMain is the main function of the starter. It returns the exit status.
func StarterMain() int {
	var o starterOptions
	if len(os.Args) != 2 {
		return statusFailed
	}
	if err := json.Unmarshal([]byte(os.Args[1]), &o); err != nil {
		return statusFailed
	}
	r := &runtime{backend: backend{kind: o.Kind}}
	r.logFile, r.logFormat, r.supervisor = o.Log, o.LogFormat, o.Supervisor
	if err := r.waitForStart(o.Dir); err != nil {
		r.report("error", err.Error())
		return statusFailed
	}
	return 0
}

// waitForStart hands over the process that arrives on the starter's connection.
func (r *runtime) waitForStart(dir string) error {
	// As with the keeper: no signals from the terminal, and no busy file system.
	if err := errors.Join(unix.Setpgid(0, 0), os.Chdir("/")); err != nil {
		return err
	}
	unix.CloseOnExec(starterLock)
	conn, err := fdpass.Conn(os.NewFile(starterConn, "connection"))
	if err != nil {
		return err
	}
	defer conn.Close()
	process, err := agentproto.Receive(conn)
	if err != nil {
		return nil // the container has been deleted before its start
	}
	return r.handOver(process, dir)
}
