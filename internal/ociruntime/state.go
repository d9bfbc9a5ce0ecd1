package ociruntime

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// suffix of the directory with the containers' state directories, after that of --root.
const suffix = ".subuidless"

// The names of files in a state directory.
const (
	configName  = "config.json"
	recordName  = "container.json"
	processName = "process.json" // for exec
	pendingName = "pending"      // locked while a starter waits: see handOverLater
	socketName  = "s"            // the path of a socket has 107 bytes at most
)

// maxSocketPath is the longest path of a socket, in bytes without the final NUL: unix(7).
const maxSocketPath = 107

// record is what is known of a container that create has made.
type record struct {
	ID      string
	Bundle  string // the engine's
	Rootfs  string // absolute path of the container's root directory
	Runtime string // absolute path
	// Cgroups means that the container has a cgroup.
	Cgroups bool
	// Supervised means that an outer supervisor handles the container's calls.
	Supervised bool
	// NewUserNS means that create has made the user namespace of the container.
	NewUserNS bool
	// User is that of the container's process.
	User specs.User
}

// state is the state directory of a container, which is locked.
type state struct {
	dir  string
	lock *os.File
}

// stateDir returns the path of the state directory of a container. Its name is short, because
// a socket is in it.
func stateDir(root, id string) string {
	sum := sha256.Sum256([]byte(id))
	return filepath.Join(root+suffix, hex.EncodeToString(sum[:8]))
}

// errBusy means that another process holds the lock of a state directory.
var errBusy = errors.New("another process is working on this container")

// makeState creates the state directory of a container, if it does not exist, and locks it. The
// error wraps errBusy if another process creates the same container.
func makeState(root, id string) (*state, error) {
	parent := root + suffix
	for {
		if err := os.MkdirAll(parent, 0o700); err != nil {
			return nil, fmt.Errorf("creating the directory for the state of containers: %w (choose another directory with --root)", err)
		}
		if err := checkPrivate(parent); err != nil {
			return nil, err
		}
		dir := stateDir(root, id)
		err := os.Mkdir(dir, 0o700)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed by the last delete
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("creating the state directory of container %s: %w", id, err)
		}
		s, err := lockState(dir, unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("container %s: %w", id, err)
		}
		return s, nil
	}
}

// checkPrivate returns an error if other users have access to the directory.
func checkPrivate(dir string) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return &os.PathError{Op: "lstat", Path: dir, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Geteuid() || st.Mode&0o077 != 0 {
		return fmt.Errorf("%s has owner %d and mode %04o; it must be a directory that is yours alone: remove it, or choose another one with --root", dir, st.Uid, st.Mode&0o7777)
	}
	return nil
}

// lockState locks a state directory, as flock(2) does with the operation how. The error wraps
// fs.ErrNotExist if there is none, or errBusy.
func lockState(dir string, how int) (*state, error) {
	for {
		f, err := os.OpenFile(dir, unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if err != nil {
			return nil, err
		}
		err = sys.Flock(int(f.Fd()), how)
		if err == unix.EWOULDBLOCK {
			err = errBusy
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		// It may have been removed, and created anew, meanwhile.
		locked, err := f.Stat()
		now, nowErr := os.Stat(dir)
		if err != nil || nowErr == nil && os.SameFile(locked, now) {
			return &state{dir: dir, lock: f}, err
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}

func (s *state) unlock() error { return s.lock.Close() }

// path returns the path of a file in the state directory.
func (s *state) path(name string) string { return filepath.Join(s.dir, name) }

// clear removes everything in the state directory.
func (s *state) clear() error {
	entries, err := os.ReadDir(s.dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(s.path(e.Name())))
	}
	return err
}

// remove removes the state directory, unlocks it, and removes the directory above if it is
// empty.
func (s *state) remove() error {
	err := errors.Join(os.RemoveAll(s.dir), s.unlock())
	if e := os.Remove(filepath.Dir(s.dir)); e != nil && !errors.Is(e, unix.ENOTEMPTY) && !errors.Is(e, fs.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return err
}

// save stores the record: all of it, or if the process is killed, nothing.
func (s *state) save(r record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	partial := s.path(recordName + ".new")
	if err := os.WriteFile(partial, text, 0o600); err != nil {
		return err
	}
	return os.Rename(partial, s.path(recordName))
}

// errDamaged means that the record of a container cannot be read.
var errDamaged = errors.New("the state of a container is damaged")

// loadRecord returns the record in a state directory. The error wraps fs.ErrNotExist if this
// package has not made the container, or errDamaged.
func loadRecord(dir string) (record, error) {
	var r record
	path := filepath.Join(dir, recordName)
	text, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	err = json.Unmarshal(text, &r)
	if err == nil && (r.ID == "" || !filepath.IsAbs(r.Runtime)) {
		err = errors.New("it names no container or no runtime")
	}
	if err != nil {
		return record{}, fmt.Errorf("%w: %s: %w (delete --force ends the container and removes everything)", errDamaged, path, err)
	}
	return r, nil
}
