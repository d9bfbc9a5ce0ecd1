package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// prefix begins the names of the cgroups of containers.
const prefix = "subuidless-"

// Group is the cgroup of a container, which this process has created.
//
// The init of the container starts in it (Place), so that a cgroup namespace shows it as the root, and
// leaves it (MoveOut) before the limits apply (Limit): it has threads that must not fail when the
// container has as many as it may have, and it must not be killed when the memory is used up. Each
// command enters the cgroup immediately before it is executed (Procs).
type Group struct {
	path     string
	outside  string // the cgroup of this process
	settings []setting
	// dir is the directory, locked as long as the cgroup is in use.
	dir *os.File
}

// New creates a cgroup for the container id, for the limits r. It may move this process, and others in
// the same cgroup, to another cgroup.
func New(r *Resources, id string) (*Group, error) {
	settings := r.settings()
	need := controllers(settings)
	name := prefix + id
	base, err := find(need, name)
	if err != nil {
		return nil, err
	}
	if err := divide(base, need); err != nil {
		return nil, err
	}
	removeUnused(base)
	root, err := mountPoint()
	if err != nil {
		return nil, err
	}
	g := &Group{path: filepath.Join(base, name), settings: settings}
	if g.outside, err = own(root); err != nil {
		return nil, err
	}
	g.dir, err = makeLocked(g.path)
	return g, err
}

// divide makes the controllers available to children of the cgroup base, whose own processes have to leave
// it for that.
func divide(base string, need []string) error {
	lacks := missing(base, "cgroup.subtree_control", need)
	if len(lacks) == 0 {
		return nil
	}
	enable := func() error {
		return write(filepath.Join(base, "cgroup.subtree_control"), "+"+strings.Join(lacks, " +"))
	}
	if !exists(filepath.Join(base, "cgroup.type")) { // the root of all cgroups may have processes
		return enable()
	}
	// With processes, the controllers for threads could be enabled, too, but would be for threads only.
	for range 100 { // meanwhile, others may start processes there
		if err := empty(base); err != nil {
			return err
		}
		if err := enable(); err != nil && !errors.Is(err, unix.EBUSY) {
			return err
		}
		left, err := os.ReadFile(filepath.Join(base, "cgroup.procs"))
		if err == nil && len(left) == 0 && len(missing(base, "cgroup.subtree_control", lacks)) == 0 {
			return nil
		}
	}
	return fmt.Errorf("the cgroup %s cannot be divided: processes start there all the time", base)
}

// empty moves all processes of the cgroup base to a child of it.
func empty(base string) error {
	outside := filepath.Join(base, outsideName)
	if err := os.Mkdir(outside, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	pids, err := os.ReadFile(filepath.Join(base, "cgroup.procs"))
	if err != nil {
		return err
	}
	for _, pid := range strings.Fields(string(pids)) {
		if pid == "0" {
			return fmt.Errorf("the cgroup %s cannot be divided: it has a process of another PID namespace", base)
		}
		err := write(filepath.Join(outside, "cgroup.procs"), pid)
		if err != nil && !errors.Is(err, unix.ESRCH) { // it has ended
			return fmt.Errorf("moving process %s: %w", pid, err)
		}
	}
	return nil
}

// write writes to a file of a cgroup.
func write(file, text string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}

// makeLocked makes the directory of a cgroup, and locks it.
func makeLocked(path string) (*os.File, error) {
	for {
		err := os.Mkdir(path, 0o755)
		if errors.Is(err, os.ErrExist) { // left by a process that was killed
			if err = Remove(path); err == nil {
				err = os.Mkdir(path, 0o755)
			}
		}
		if err != nil {
			return nil, err
		}
		dir, err := lock(path)
		switch {
		case err == nil:
			return dir, nil
		case !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.EWOULDBLOCK):
			return nil, err
		}
		// Another process has taken it for unused, and removes it.
	}
}

// lock opens and locks the directory of a cgroup. The error is unix.EWOULDBLOCK if another process has
// locked it, and os.ErrNotExist if it has been removed.
func lock(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		var mine, named unix.Stat_t
		err = unix.Fstat(int(f.Fd()), &mine)
		if err == nil {
			err = unix.Stat(path, &named)
		}
		if err == nil && mine.Ino != named.Ino {
			err = unix.ENOENT
		}
	}
	if err != nil {
		f.Close()
		return nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	return f, nil
}

// removeUnused removes what processes that were killed have left in base.
func removeUnused(base string) {
	entries, _ := os.ReadDir(base) // what is not removed now is removed later
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) || e.Name() == outsideName {
			continue
		}
		if dir, err := lock(filepath.Join(base, e.Name())); err == nil {
			_ = unix.Rmdir(dir.Name())
			dir.Close()
		}
	}
}

// Remove removes the cgroup at path of a container that has ended or whose processes have been killed,
// if it still exists.
func Remove(path string) error {
	for end := time.Now().Add(endPatience); ; time.Sleep(time.Millisecond) {
		switch dir, err := lock(path); {
		case err == nil:
			return removeLocked(dir)
		case errors.Is(err, os.ErrNotExist):
			return nil
		case !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(end):
			return err
		}
	}
}

// endPatience is how long Remove waits for the end of processes that have been killed.
const endPatience = 10 * time.Second

// removeLocked removes the cgroup whose directory is dir, and unlocks it.
func removeLocked(dir *os.File) error {
	defer dir.Close()
	for end := time.Now().Add(endPatience); ; time.Sleep(time.Millisecond) {
		switch err := unix.Rmdir(dir.Name()); {
		case err == nil || err == unix.ENOENT:
			return nil
		case err != unix.EBUSY || time.Now().After(end):
			return &os.PathError{Op: "rmdir", Path: dir.Name(), Err: err}
		}
	}
}

// Path returns the directory of the cgroup.
func (g *Group) Path() string { return g.path }

// Place has attr start a process in the cgroup.
func (g *Group) Place(attr *syscall.SysProcAttr) {
	attr.UseCgroupFD, attr.CgroupFD = true, int(g.dir.Fd())
}

// MoveOut moves a process to the cgroup of this process.
func (g *Group) MoveOut(pid int) error {
	return write(filepath.Join(g.outside, "cgroup.procs"), strconv.Itoa(pid))
}

// Procs returns a file with which a process moves itself to the cgroup: see Enter.
func (g *Group) Procs() (*os.File, error) {
	return os.OpenFile(filepath.Join(g.path, "cgroup.procs"), os.O_WRONLY, 0)
}

// Enter moves this process to the cgroup whose file Procs is the descriptor procs. It may then have more
// threads than the cgroup allows, and must not start any until it executes another program.
func Enter(procs int) error {
	self := []byte{'0'}
	for {
		_, e := sys.RawWrite(procs, self)
		switch e {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return fmt.Errorf("entering the cgroup of the container: %w", e)
		}
	}
}

// Limit sets the limits.
func (g *Group) Limit() error {
	for _, s := range g.settings {
		err := write(filepath.Join(g.path, s.file), s.value)
		if s.optional && errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("setting %s to %q: %w", s.file, s.value, err)
		}
	}
	return nil
}

// OOMKilled reports whether the kernel has killed a process because the memory was used up.
func (g *Group) OOMKilled() bool {
	events, _ := os.ReadFile(filepath.Join(g.path, "memory.events")) // there are none without a limit
	for line := range strings.Lines(string(events)) {
		if count, ok := strings.CutPrefix(line, "oom_kill "); ok {
			return strings.TrimSpace(count) != "0"
		}
	}
	return false
}

// Close removes the cgroup. All processes in it have ended or have been killed.
func (g *Group) Close() error { return removeLocked(g.dir) }
