package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// maxSocketPath is the longest path, in bytes without the final NUL, that fits into struct
// sockaddr_un (unix(7)).
const maxSocketPath = 107

// DefaultSocket returns the path of the socket that Listen uses by default:
// $XDG_RUNTIME_DIR/subuidless.sock, or ~/.subuidless.sock if XDG_RUNTIME_DIR is not set. It
// is an error if neither that nor HOME is set.
func DefaultSocket() (string, error) {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "subuidless.sock"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("no default for the path of the socket, because neither XDG_RUNTIME_DIR nor HOME is set: give the path")
	}
	return filepath.Join(home, ".subuidless.sock"), nil
}

// checkSocketPath returns an error if path cannot be the path of a socket, or if other users
// could replace the socket there: a runtime would hand the control of its containers to
// them.
func checkSocketPath(path string) error {
	if len(path) > maxSocketPath {
		return fmt.Errorf("socket %s: the path is too long: it has %d bytes, but the kernel allows %d; choose a shorter one", path, len(path), maxSocketPath)
	}
	dir := filepath.Dir(path)
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return fmt.Errorf("directory %s of the socket: %w (create it first, or choose another)", dir, err)
	}
	switch euid := os.Geteuid(); {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return fmt.Errorf("directory %s of the socket: not a directory", dir)
	case st.Uid != 0 && int(st.Uid) != euid:
		return fmt.Errorf("directory %s of the socket belongs to uid %d, which could replace the socket: choose a directory that belongs to you (uid %d) or to root", dir, st.Uid, euid)
	case st.Mode&0o022 != 0 && st.Mode&unix.S_ISVTX == 0:
		return fmt.Errorf("directory %s of the socket is writable by others (mode %04o), so that they could replace the socket: run chmod go-w on it, or choose another one, such as $XDG_RUNTIME_DIR", dir, st.Mode&0o7777)
	}
	return nil
}

// lockDirectory creates the directory in which the keepers of the containers listen, if it
// does not exist, and locks it until the returned file is closed. It is an error if another
// agent holds the lock.
func lockDirectory(dir string) (*os.File, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	f, err := os.OpenFile(dir, unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := supervisor.CheckPrivate(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if err == unix.EWOULDBLOCK {
			err = errors.New("another subuidless agent uses it: use that agent, or choose another socket")
		}
		return nil, errors.Join(fmt.Errorf("locking %s: %w", dir, err), f.Close())
	}
	return f, nil
}
