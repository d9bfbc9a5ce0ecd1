package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/supervisor"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// sessions is the directory of all sessions of the user.
type sessions struct {
	path string
	lock *os.File // the directory, locked with flock(2)
}

// openSessions opens the directory, creates it if it does not exist, and locks it. The caller
// must call close.
func openSessions() (*sessions, error) {
	path, err := directory()
	if err != nil {
		return nil, err
	}
	s := &sessions{path: path}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, s.explain(err)
	}
	if s.lock, err = os.OpenFile(path, unix.O_DIRECTORY|unix.O_NOFOLLOW, 0); err != nil {
		return nil, s.explain(err)
	}
	if err := supervisor.CheckPrivate(s.lock); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	if err := sys.Flock(int(s.lock.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(s.explain(fmt.Errorf("flock: %w", err)), s.lock.Close())
	}
	return s, nil
}

func (s *sessions) explain(err error) error {
	return fmt.Errorf("directory of the sessions: %w (it must be writable: set XDG_RUNTIME_DIR to a directory of yours on this machine)", err)
}

// close unlocks the directory. A command that waits behind its gate has a duplicate of the descriptor.
func (s *sessions) close() {
	_ = unix.Flock(int(s.lock.Fd()), unix.LOCK_UN) // it has no error for a lock that is held
	s.lock.Close()
}

// directory returns the path of the directory of all sessions.
func directory() (string, error) {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		if !filepath.IsAbs(dir) {
			return "", fmt.Errorf("XDG_RUNTIME_DIR is %q: it must be an absolute path", dir)
		}
		return filepath.Join(dir, "subuidless", "sessions"), nil
	}
	uid := strconv.Itoa(os.Geteuid())
	// Where systemd-logind puts it, if the session of the user did not set the variable
	// (su, sudo); container engines look there, too. Those of root create it.
	var st unix.Stat_t
	if dir := "/run/user/" + uid; uid != "0" && unix.Stat(dir, &st) == nil && int(st.Uid) == os.Geteuid() {
		return filepath.Join(dir, "subuidless", "sessions"), nil
	}
	return "/tmp/subuidless-" + uid, nil
}

// isValid reports whether a session may be called that: it is the name of a file that no shell expands,
// and fits into the address of a socket.
func isValid(name string) bool {
	for i, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case i > 0 && (c == '_' || c == '.' || c == '-'):
		default:
			return false
		}
	}
	return len(name) > 0 && len(name) <= maxName
}

const maxName = 40

func checkName(name string) error {
	if !isValid(name) {
		return fmt.Errorf("session name %q: must be 1 to %d letters, digits, and _ . - after the first character", name, maxName)
	}
	return nil
}

// names returns the names of the sessions, in alphabetical order.
func (s *sessions) names() ([]string, error) {
	entries, err := os.ReadDir(s.path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && isValid(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (s *sessions) dir(name string) string { return filepath.Join(s.path, name) }

// config returns the part of the supervisor's configuration that follows from the name.
func (s *sessions) config(name string) supervisor.Config {
	return supervisor.Config{ID: name, SocketDir: s.dir(name)}
}

// remove removes the directory of a session that has ended.
func (s *sessions) remove(name string) error { return os.RemoveAll(s.dir(name)) }

// record is what outlives the supervisor of a session.
type record struct {
	UserNS uint64 // inode number of the user namespace
	Boot   string // in which it exists: the directory may outlive that
}

// currentBoot identifies the boot of this machine.
func currentBoot() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

// writeEtc writes the files o.Etc in the directory of the session, and returns their
// directory.
func (s *sessions) writeEtc(o Options) (dir string, err error) {
	dir = filepath.Join(s.dir(o.Name), "etc")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	for name, text := range o.Etc {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o444); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func (s *sessions) recordPath(name string) string {
	return filepath.Join(s.dir(name), "session.json")
}

// writeRecord writes the record of a session in this user namespace. The calling process, which has started the
// supervisor, is its witness: as long as it lives, it starts keepers.
func (s *sessions) writeRecord(name string, userNS uint64) error {
	boot, err := currentBoot()
	if err != nil {
		return err
	}
	b, err := json.Marshal(record{UserNS: userNS, Boot: boot})
	if err != nil {
		return err
	}
	path := s.recordPath(name)
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	// The lock ends with this process: the descriptor stays open until then.
	fd, err := unix.Open(path+".new", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Flock(fd, unix.LOCK_SH); err != nil {
		return fmt.Errorf("flock: %w", err)
	}
	return os.Rename(path+".new", path)
}

// witnessed reports whether the process that has started the supervisor of a session lives.
func (s *sessions) witnessed(name string) (bool, error) {
	f, err := os.Open(s.recordPath(name))
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return true, nil
	}
	return false, err
}

// readRecord returns the record of a session. Ok is false if there is none, because the
// session has not been started completely, or in another boot.
func (s *sessions) readRecord(name string) (r record, ok bool, err error) {
	path := s.recordPath(name)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return record{}, false, nil
	}
	if err != nil {
		return record{}, false, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return record{}, false, fmt.Errorf("%s: %w", path, err)
	}
	boot, err := currentBoot()
	return r, err == nil && r.Boot == boot, err
}
