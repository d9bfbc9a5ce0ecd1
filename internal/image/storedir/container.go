package storedir

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cgroup"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// Container is a container of an image. Its directory is containers/ID:
//
//	config.json    its Container
//	state.json     its State, once it has run
//	rootfs         its root file system, or the place to mount it
//	upper, work    those of overlayfs
//	lock           locked while the container runs; then, its content is the exit status
//	log, log.1...  the output of a container that runs in the background, the newest first
//	paused         an empty file while the container is paused
//	control, id-*  sockets while it runs: of the init (package launch) and of the keeper
type Container struct {
	ID         string
	Name       string
	Image      string   // as the user has named it
	ImageID    string   // digest of the configuration
	Layers     []string // the topmost first; empty if rootfs is a copy of Base
	Base       []string // the layers of the image, the topmost first
	Command    []string
	Labels     map[string]string `json:",omitempty"`
	StopSignal string            `json:",omitempty"`
	AutoRemove bool              `json:",omitempty"` // remove it when it ends
	Created    time.Time
	Settings   Settings

	State   State  `json:"-"`
	Running bool   `json:"-"`
	Dir     string `json:"-"`
}

// Settings say how to run a container: what the image and the user have said.
type Settings struct {
	Entrypoint  []string            `json:",omitempty"`
	Cmd         []string            `json:",omitempty"`
	User        string              `json:",omitempty"`
	Env         []string            `json:",omitempty"` // K=V
	Workdir     string              `json:",omitempty"`
	Hostname    string              `json:",omitempty"`
	Hosts       []string            `json:",omitempty"` // NAME:ADDRESS
	Resolver    []string            `json:",omitempty"` // lines of resolv.conf(5)
	Groups      []string            `json:",omitempty"` // further ones of its users, names or ids
	Limits      []string            `json:",omitempty"` // resource limits, NAME=SOFT:HARD
	CapAdd      []string            `json:",omitempty"` // names of capabilities(7), or ALL
	CapDrop     []string            `json:",omitempty"`
	Devices     []string            `json:",omitempty"` // of the host, SRC[:DST][:rwm]
	Ports       []string            `json:",omitempty"` // of the host, PORT/PROTOCOL or FROM-TO/PROTOCOL
	VolumesFrom []string            `json:",omitempty"` // CONTAINER[:ro|rw]: whose mounts are among Mounts
	Net         string              `json:",omitempty"`
	Sysctls     []string            `json:",omitempty"` // NAME=VALUE
	Umask       string              `json:",omitempty"` // octal; empty: the default
	ShmSize     int64               `json:",omitempty"` // bytes of /dev/shm; 0: the default
	Timeout     time.Duration       `json:",omitempty"` // after which it is killed; 0: never
	Annotations map[string]string   `json:",omitempty"`
	Resources   cgroup.Resources    `json:",omitzero"` // what its processes may use
	ReadOnly    bool                `json:",omitempty"`
	Terminal    bool                `json:",omitempty"` // it gets a terminal in the background, too
	OpenStdin   bool                `json:",omitempty"` // its standard input stays open in the background
	Dirs        []string            `json:",omitempty"` // to create if needed
	Mounts      []Mount             `json:",omitempty"`
	Health      *HealthCheck        `json:",omitempty"` // nil: no health check
	StopTimeout int                 `json:",omitempty"` // seconds; 0: the default
	NoLog       bool                `json:",omitempty"`
	LogSize     int64               `json:",omitempty"` // bytes, at which the log is rotated; 0: never
	LogFiles    int                 `json:",omitempty"` // how many files a log has that is rotated; 0: one
	Exposed     map[string]struct{} `json:",omitempty"` // ports, as the image names them

	Trace         string `json:",omitempty"`
	TraceSummary  bool   `json:",omitempty"`
	Sidecar       string `json:",omitempty"`
	NoPermissions bool   `json:",omitempty"`
	Accelerate    uint32 `json:",omitempty"` // see supervisor.Config
}

// HealthCheck is a health check, in docker's form.
type HealthCheck struct {
	Test        []string      `json:",omitempty"`
	Interval    time.Duration `json:",omitempty"`
	Timeout     time.Duration `json:",omitempty"`
	StartPeriod time.Duration `json:",omitempty"`
	Retries     int           `json:",omitempty"`

	StartInterval time.Duration `json:",omitempty"` // instead of Interval until the start period is over; 0: none
}

// Mount is a bind mount or a tmpfs of a container.
type Mount struct {
	Volume      string `json:",omitempty"` // name of a volume of the store; empty: none
	Source      string `json:",omitempty"` // absolute path on the host; empty: see Tmpfs
	Destination string // absolute path in the container
	ReadOnly    bool   `json:",omitempty"`
	Tmpfs       *Tmpfs `json:",omitempty"` // a new one
}

// Tmpfs are the options of a tmpfs.
type Tmpfs struct {
	Size   int64  `json:",omitempty"` // bytes; 0: no limit
	Mode   uint32 `json:",omitempty"` // 0: the default
	NoExec bool   `json:",omitempty"`
}

// State is what a container does or has done.
type State struct {
	Pid      int       `json:",omitempty"` // of the process that runs it
	Init     int       `json:",omitempty"` // its first process; 0: not started yet
	Stdin    int       `json:",omitempty"` // the descriptor of Pid that writes to the standard input; 0: none
	Host     string    `json:",omitempty"` // name of the machine with these processes
	PIDSpace string    `json:",omitempty"` // see pidSpace
	Started  time.Time `json:",omitzero"`
	Finished time.Time `json:",omitzero"`
	ExitCode int       `json:",omitempty"`
	Error    string    `json:",omitempty"` // why it could not be started
	Health   *Health   `json:",omitempty"`

	Cgroup    string `json:",omitempty"` // directory of the one that limits its processes
	OOMKilled bool   `json:",omitempty"` // the kernel has killed a process because the memory was used up
}

// Health is the result of health checks.
type Health struct {
	Status        string // starting, healthy or unhealthy
	FailingStreak int
	Log           []HealthResult
}

// HealthResult is the result of one health check.
type HealthResult struct {
	Start, End time.Time
	ExitCode   int
	Output     string
}

// ErrRunning is wrapped by errors about containers that run.
var ErrRunning = errors.New("the container is running")

// ErrBusy is wrapped by errors about containers that others use, although they do not run.
var ErrBusy = errors.New("another command is creating it or using its files: try again later")

// Lock makes the container count as running until the caller unlocks the Lock. The error wraps
// ErrRunning if it runs, ErrBusy, or ErrNotFound if it has been removed.
func (c *Container) Lock() (Lock, error) {
	name := c.lockFile()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return Lock{}, fmt.Errorf("container %s: %w", c.Name, ErrNotFound)
	}
	if err != nil {
		return Lock{}, err
	}
	l := Lock{f}
	// Others may hold the lock for a moment, to see whether the container runs.
	for end := time.Now().Add(lockPatience); ; time.Sleep(5 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil && !IsCurrent(f, name):
			l.Unlock()
			return Lock{}, fmt.Errorf("container %s: %w", c.Name, ErrNotFound)
		case err == nil:
			return l, nil
		case err == unix.EINTR:
		case err != unix.EWOULDBLOCK:
			l.Unlock()
			return Lock{}, fmt.Errorf("container %s: flock: %w", c.Name, err)
		case l.text() == statusUnknown && c.IsRunning():
			l.Unlock()
			return Lock{}, fmt.Errorf("container %s: %w", c.Name, ErrRunning)
		case time.Now().After(end):
			l.Unlock()
			return Lock{}, fmt.Errorf("container %s: %w", c.Name, ErrBusy)
		}
	}
}

// Share keeps the container from running until the caller unlocks the Lock. The error wraps
// ErrRunning if it runs, and ErrNotFound if it has been removed.
func (c *Container) Share() (Lock, error) {
	f, err := os.Open(c.lockFile())
	if errors.Is(err, os.ErrNotExist) {
		return Lock{}, fmt.Errorf("container %s: %w", c.Name, ErrNotFound)
	}
	if err != nil {
		return Lock{}, err
	}
	l := Lock{f}
	switch err := sys.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err {
	case nil:
		return l, nil
	case unix.EWOULDBLOCK:
		l.Unlock()
		return Lock{}, fmt.Errorf("container %s: %w", c.Name, ErrRunning)
	default:
		l.Unlock()
		return Lock{}, fmt.Errorf("container %s: flock: %w", c.Name, err)
	}
}

// LockFiles waits until no other command changes the files of a container that does not run. The
// caller has shared the container.
func (c *Container) LockFiles() (Lock, error) {
	return LockFile(filepath.Join(c.Dir, "files"), unix.LOCK_EX)
}

// lockPatience is how long Lock waits for others.
const lockPatience = time.Second

// text returns the content of the file.
func (l Lock) text() string {
	b := make([]byte, 16)
	n, _ := l.File.ReadAt(b, 0) // an error means that there is nothing
	return strings.TrimSpace(string(b[:n]))
}

// Waiter waits for the end of a container.
type Waiter struct{ lock *os.File }

// Waiter returns what waits for the end of the container, even if it is removed then.
func (c *Container) Waiter() (*Waiter, error) {
	f, err := os.Open(c.lockFile())
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("container %s: %w", c.Name, ErrNotFound)
	}
	return &Waiter{f}, err
}

// Wait waits until the container does not run, and returns its exit status: 137 if the process
// that ran it was killed, and 0 if it has never run.
func (w *Waiter) Wait() (status int, err error) {
	if err := sys.Flock(int(w.lock.Fd()), unix.LOCK_SH); err != nil {
		return 0, fmt.Errorf("waiting for the container: flock: %w", err)
	}
	defer unix.Flock(int(w.lock.Fd()), unix.LOCK_UN)
	text := Lock{w.lock}.text()
	switch text {
	case "":
		return 0, nil
	case statusUnknown:
		return exitKilled, nil
	}
	return strconv.Atoi(text)
}

// Close releases the waiter.
func (w *Waiter) Close() { w.lock.Close() }

// The contents of the file lock, besides an exit status.
const statusUnknown = "running"

// exitKilled is the exit status of a container whose processes have been killed.
const exitKilled = 128 + int(unix.SIGKILL)

// Begin notes in the file of the lock that the container runs, and End that it has ended.
func (l Lock) Begin() error { return l.note(statusUnknown) }

// End notes the exit status of the container.
func (l Lock) End(status int) error { return l.note(strconv.Itoa(status)) }

func (l Lock) note(text string) error {
	err := l.File.Truncate(0)
	if err == nil {
		_, err = l.File.WriteAt([]byte(text+"\n"), 0)
	}
	return err
}

// Paused reports whether the container, which runs, is paused.
func (c *Container) Paused() bool {
	_, err := os.Stat(c.pausedFile())
	return err == nil
}

// SetPaused notes whether the container is paused.
func (c *Container) SetPaused(on bool) error {
	if on {
		return os.WriteFile(c.pausedFile(), nil, 0o600)
	}
	err := os.Remove(c.pausedFile())
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return err
}

func (c *Container) lockFile() string { return filepath.Join(c.Dir, "lock") }

func (c *Container) pausedFile() string { return filepath.Join(c.Dir, "paused") }

// SetProcesses notes that process pid of this machine runs the container. Others can see the store,
// too, in a home directory on NFS for example.
func (s *State) SetProcesses(pid int) {
	s.Pid, s.Init, s.PIDSpace = pid, 0, pidSpace()
	s.Host, _ = os.Hostname() // only for messages
}

// pidSpace identifies where a process id means the same process: the machine since its start, and
// the PID namespace. It is empty if they are unknown.
var pidSpace = sync.OnceValue(func() string {
	boot, err1 := os.ReadFile("/proc/sys/kernel/random/boot_id")
	namespace, err2 := os.Readlink("/proc/self/ns/pid")
	if errors.Join(err1, err2) != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + " " + namespace
})

// CheckProcesses returns an error if the container runs where its process ids mean other processes.
func (c *Container) CheckProcesses() error { return c.checkPlace(pidSpace()) }

// CheckMachine returns an error if the container runs on another machine, where no socket reaches
// it.
func (c *Container) CheckMachine() error {
	boot, _, _ := strings.Cut(pidSpace(), " ")
	return c.checkPlace(boot)
}

func (c *Container) checkPlace(here string) error {
	if c.State.PIDSpace == "" || strings.HasPrefix(c.State.PIDSpace, here) || !c.IsRunning() {
		return nil
	}
	return fmt.Errorf("container %s runs on %s, and this command works only there", c.Name, c.State.Host)
}

// SaveState writes state.json. Durable means that it survives a power failure, after which the state of
// a container that was running may otherwise be lost: see LoadState.
func (c *Container) SaveState(durable bool) error {
	b, err := json.MarshalIndent(&c.State, "", "  ")
	if err != nil {
		return err
	}
	name := filepath.Join(c.Dir, "state.json")
	if durable {
		return WriteFile(name, append(b, '\n'))
	}
	f := name + NewSuffix
	if err := os.WriteFile(f, append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(f, name)
}

// LoadState reads state.json, and whether the container runs.
func (c *Container) LoadState() error { return c.loadState(time.Time{}) }

// loadState is LoadState. If the state has said before that the container has started at the time
// unfinished, and not that it has ended, and still says so while it does not run, it was killed.
func (c *Container) loadState(unfinished time.Time) error {
	c.Running = c.IsRunning()
	c.State = State{}
	name := filepath.Join(c.Dir, "state.json")
	err := ReadJSON(name, &c.State)
	var unreadable *os.PathError
	switch {
	case errors.Is(err, os.ErrNotExist):
		err = nil
	case err != nil && !errors.As(err, &unreadable) && !c.Running:
		var st os.FileInfo
		if st, err = os.Stat(name); err == nil {
			c.State = State{Started: st.ModTime(), Finished: st.ModTime(), ExitCode: exitKilled, Error: "its state was lost, maybe when the machine lost power"}
		}
	}
	if !c.Running && err == nil && !c.State.Started.IsZero() && c.State.Finished.Before(c.State.Started) {
		if !c.State.Started.Equal(unfinished) {
			return c.loadState(c.State.Started) // it may have been started after the first line
		}
		c.State.ExitCode, c.State.Error = exitKilled, "the process that ran the container was killed"
		c.State.Finished, c.State.Health = c.State.Started, nil
		if st, err := os.Stat(filepath.Join(c.Dir, "log")); err == nil {
			c.State.Finished = st.ModTime()
		}
	}
	return err
}

// Save writes config.json.
func (c *Container) Save() error {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return WriteFile(filepath.Join(c.Dir, Config), append(b, '\n'))
}

// IsRunning reports whether the container runs now.
func (c *Container) IsRunning() bool { return isLocked(c.lockFile()) }

// isLocked reports whether a process holds the lock of the file name.
func isLocked(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}
