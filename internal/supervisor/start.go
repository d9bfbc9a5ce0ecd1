package supervisor

import (
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/handlers"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// Start starts a keeper and a worker for a new container: see Prepare and Serve.
func Start(cfg Config, first Process) error {
	p, err := Prepare(cfg)
	if err != nil {
		return err
	}
	defer p.Close()
	return p.Serve(first)
}

// Prepared is the keeper of a container that is about to start.
type Prepared struct {
	cfg    Config
	conn   conn
	serves bool
	ended  chan struct{} // closed when the keeper has ended
}

// Prepare starts a keeper, while its container is still being set up. While the
// caller lives, what the supervisor logs appears on its standard error.
func Prepare(cfg Config) (*Prepared, error) {
	c, theirs, err := socketpair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	logs, log, err := os.Pipe()
	if err != nil {
		c.Close()
		return nil, err
	}
	pid, err := startKeeper(cfg, theirs, log)
	log.Close()
	if err != nil {
		logs.Close()
		c.Close()
		return nil, fmt.Errorf("starting the supervisor: %w", err)
	}
	p := &Prepared{cfg: cfg, conn: c, ended: make(chan struct{})}
	go func() {
		// Ends with the keeper and its worker.
		_, _ = io.Copy(os.Stderr, logs)
		logs.Close()
		reap(pid)
		close(p.ended)
	}()
	return p, nil
}

// Enter tells the keeper the user namespace of the container, that of process
// task, so that the worker starts while the container is being set up further.
// Why it could not, Serve says, which does without.
func (p *Prepared) Enter(task int) {
	ns, err := unix.Open("/proc/"+strconv.Itoa(task)+"/ns/user", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(ns)
	_ = p.conn.send(message{Config: &p.cfg}, ns)
}

// Serve gives the keeper its container's first process. It returns when a worker
// answers, or with the reason why none can. The keeper and the worker outlive the
// caller, and end when no task is left that the listener applies to.
func (p *Prepared) Serve(first Process) error {
	fds, err := openRequest(first)
	if err != nil {
		return err
	}
	defer fdpass.Close(fds[1:])
	m := message{Config: &p.cfg, User: first.User}
	if first.Running {
		m.RunningPID = first.Pid
	}
	if err := p.conn.request(m, fds...); err != nil {
		return fmt.Errorf("starting the supervisor of process %d: %w", first.Pid, err)
	}
	p.serves = true
	return nil
}

// Close lets go of a keeper that has got its container, and ends one that has not.
func (p *Prepared) Close() {
	p.conn.Close()
	if !p.serves {
		<-p.ended
	}
}

func startKeeper(cfg Config, conn, log *os.File) (pid int, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	cmd := userns.Command{
		Namespace: -1,
		Path:      "/proc/self/exe",
		Args:      []string{KeeperName, cfg.ID},
		Env:       os.Environ(),
		Files:     []int{int(null.Fd()), int(null.Fd()), int(null.Fd()), int(conn.Fd()), int(log.Fd())},
	}
	return cmd.Start()
}

// openRequest returns the descriptors of a request. The first one is the
// listener's own. Without a pid it is the only one.
func openRequest(p Process) ([]int, error) {
	if p.Pid == 0 {
		return []int{int(p.Listener.Fd())}, nil
	}
	proc := "/proc/" + strconv.Itoa(p.Pid)
	fds := []int{fdListener: int(p.Listener.Fd())}
	for _, f := range []struct {
		name  string
		flags int
	}{
		{"/ns/user", unix.O_RDONLY},
		{"/ns/mnt", unix.O_RDONLY},
		{"/root", unix.O_PATH | unix.O_DIRECTORY},
	} {
		fd, err := unix.Open(proc+f.name, f.flags|unix.O_CLOEXEC, 0)
		if err != nil {
			fdpass.Close(fds[1:])
			return nil, fmt.Errorf("open %s: %w (the process is gone, or belongs to somebody else)", proc+f.name, err)
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

// Active tells whether the calling process is supervised by subuidless already.
func Active() bool {
	name := append([]byte(handlers.Probe), 0)
	n, e := sys.Getxattr(sys.Slash, true, &name[0], nil)
	return e == 0 && n == 1
}
