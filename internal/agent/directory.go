package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxSocketPath is what struct sockaddr_un has room for, without the final NUL.
const maxSocketPath = 107

// DefaultSocket returns where the agent listens if nobody says otherwise.
func DefaultSocket() (string, error) {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "subuidless.sock"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("neither XDG_RUNTIME_DIR nor HOME is set: name the socket")
	}
	return filepath.Join(home, ".subuidless.sock"), nil
}

// checkSocketPath reports a path that cannot be a socket's, or that others
// could put theirs at: a runtime would hand them control of the container.
func checkSocketPath(path string) error {
	if len(path) > maxSocketPath {
		return fmt.Errorf("socket %s: the path is too long: it has %d bytes, and the kernel allows %d; choose a shorter one", path, len(path), maxSocketPath)
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
		return fmt.Errorf("directory %s of the socket belongs to uid %d, who could replace the socket: choose one of your own (you are uid %d) or of root", dir, st.Uid, euid)
	case st.Mode&0o022 != 0 && st.Mode&unix.S_ISVTX == 0:
		return fmt.Errorf("directory %s of the socket is writable by others (mode %04o), who could replace the socket: chmod go-w it, or choose another, such as $XDG_RUNTIME_DIR", dir, st.Mode&0o7777)
	}
	return nil
}

// lockDirectory creates the directory in which the keepers of the containers
// listen, and locks it for as long as the agent lives: of two agents with the
// same socket, one gives up.
func lockDirectory(dir string) (*os.File, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	f, err := os.OpenFile(dir, unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := checkPrivate(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if err == unix.EWOULDBLOCK {
			err = errors.New("another subuidless agent uses it: use that one, or choose another socket")
		}
		return nil, errors.Join(fmt.Errorf("lock of %s: %w", dir, err), f.Close())
	}
	return f, nil
}

// checkPrivate reports a directory that others can use.
func checkPrivate(dir *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &st); err != nil {
		return fmt.Errorf("stat %s: %w", dir.Name(), err)
	}
	if int(st.Uid) != os.Geteuid() || st.Mode&0o077 != 0 {
		return fmt.Errorf("directory %s has owner %d and mode %04o; it must be yours alone: remove it, or chmod 700 it", dir.Name(), st.Uid, st.Mode&0o7777)
	}
	return nil
}
