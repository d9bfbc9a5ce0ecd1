package supervisor

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
	"github.com/rootless-containers/subuidless/internal/handlers"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// Start starts a keeper and a worker for a new container, and returns when the worker
// answers notifications: see Prepare and Prepared.Serve.
func Start(cfg Config, first Process) error {
	p, err := Prepare(cfg)
	if err != nil {
		return err
	}
	defer p.Close()
	return p.Serve(first)
}

// Prepared is the keeper of a container that has not started yet.
type Prepared struct {
	cfg     Config
	keeper  int // process id
	conn    conn
	witness conn // see witness
	serves  bool
	ended   chan struct{}    // closed when the keeper has ended
	status  *unix.WaitStatus // of the keeper, when it has
}

// Prepare starts a keeper while its container is still being set up. As long as the
// caller lives, the supervisor's log appears on its standard error. Call Close in any
// case.
func Prepare(cfg Config) (*Prepared, error) { return prepare(cfg, nil) }

// prepare is Prepare for a container whose standby is at the other end of the socket standby; nil:
// none.
func prepare(cfg Config, standby *os.File) (*Prepared, error) {
	if err := checkAddressSpace(); err != nil {
		return nil, fmt.Errorf("cannot start the supervisor: %w", err)
	}
	cfg.HasRecords = cfg.Records != nil
	c, theirs, err := socketpair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	witness, reports, err := socketpair()
	if err != nil {
		c.Close()
		return nil, err
	}
	defer reports.Close()
	logs, log, err := openLog(cfg)
	if err != nil {
		c.Close()
		witness.Close()
		return nil, err
	}
	pid, err := startKeeper(cfg, theirs, log, reports, standby)
	log.Close()
	if err != nil {
		logs.Close()
		c.Close()
		witness.Close()
		return nil, fmt.Errorf("cannot start the supervisor: %w", err)
	}
	p := &Prepared{cfg: cfg, keeper: pid, conn: c, witness: witness, ended: make(chan struct{}), status: new(unix.WaitStatus)}
	exited := make(chan struct{})
	go func() {
		*p.status = awaitExit(pid, KeeperName, cfg.ID)
		close(exited)
	}()
	go func() {
		// Returns when the keeper and its worker have exited.
		_, _ = io.Copy(os.Stderr, logs)
		logs.Close()
		<-exited
		close(p.ended)
	}()
	return p, nil
}

// openLog returns the file for the log of the keeper and its workers, and where to read what
// the caller is to show of it. The log of a session, which outlives the caller, is a file.
func openLog(cfg Config) (logs io.ReadCloser, log *os.File, err error) {
	if cfg.Session == nil {
		return os.Pipe()
	}
	log, err = os.OpenFile(cfg.Session.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
	return io.NopCloser(strings.NewReader("")), log, err
}

// Enter passes the user namespace of the process task, which is the container's, to
// the keeper. So the worker starts while the container is being set up. Enter is an
// optimization: without it, or if it fails, Serve starts the worker and reports
// errors.
func (p *Prepared) Enter(task int) {
	ns, err := unix.Open("/proc/"+strconv.Itoa(task)+"/ns/user", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(ns)
	_ = p.conn.send(message{Config: &p.cfg}, ns)
}

// Serve passes the container's first process to the keeper. It returns when the worker
// answers notifications, or with the reason why it cannot. Keeper and worker outlive
// the caller; they exit when no task is left to which the container's filters apply.
// As long as the caller lives, it starts them again if both die together.
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
	for end := time.Now().Add(restartPatience); ; {
		err := p.conn.request(m, fds...)
		w := &witness{cfg: p.cfg, socket: p.witness}
		if fdpass.PeerGone(err) && w.takenOver() {
			err = nil
		}
		if err == nil {
			p.serves = true
			witnessed.add(p.cfg, 1)
			go w.watch()
			return nil
		}
		p.Close()
		if !fdpass.PeerGone(err) || !killed(*p.status) || time.Now().After(end) {
			return fmt.Errorf("cannot start the supervisor of process %d: %w", first.Pid, err)
		}
		slog.Warn("the keeper died; starting another", "container", p.cfg.ID)
		again, err := Prepare(p.cfg)
		if err != nil {
			return err
		}
		*p = *again
	}
}

// Close closes the connection to the keeper. If Serve has not succeeded, the keeper
// exits, and Close waits for that. Closing twice has no effect.
func (p *Prepared) Close() {
	p.conn.Close()
	if !p.serves {
		p.witness.Close()
		<-p.ended
	}
}

// startKeeper starts the keeper's process, which inherits its end of a socket pair, the file
// for its log, its ends of the sockets of witness and standby, and cfg.Records. Standby may be nil.
func startKeeper(cfg Config, conn, log, witness, standby *os.File) (pid int, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	records := cfg.Records
	if records == nil {
		records = null
	}
	if standby == nil {
		standby = null
	}
	cmd := userns.Command{
		Namespace: -1,
		Continued: true,
		Path:      "/proc/self/exe",
		Args:      []string{KeeperName, cfg.ID},
		Env:       os.Environ(),
		Files:     []int{int(null.Fd()), int(null.Fd()), int(null.Fd()), int(conn.Fd()), int(log.Fd()), int(witness.Fd()), int(records.Fd()), int(standby.Fd())},
	}
	return startPatient(&cmd)
}

// openRequest returns the descriptors of a request for p: see requestFDs. The first
// one is p.Listener itself, not a duplicate. Without a pid, it is the only one.
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
			return nil, fmt.Errorf("open %s: %w (the process has exited, or belongs to another user)", proc+f.name, err)
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

// Active reports whether subuidless supervises the calling process already.
func Active() bool {
	name := append([]byte(handlers.Probe), 0)
	n, e := sys.Getxattr(sys.Slash, true, &name[0], nil)
	return e == 0 && n == 1
}
