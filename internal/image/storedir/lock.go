package storedir

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Lock is a lock that flock(2) gives.
type Lock struct{ File *os.File }

// Unlock releases the lock, if it is one, unless another process has inherited File.
func (l Lock) Unlock() {
	if l.File != nil {
		l.File.Close()
	}
}

// LockFile opens the file name, which it creates if needed, and locks it: see flock(2).
func LockFile(name string, how int) (Lock, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return Lock{}, err
	}
	err = sys.Flock(int(f.Fd()), how)
	if err == nil {
		return Lock{f}, nil
	}
	f.Close()
	if err != unix.EWOULDBLOCK {
		err = fmt.Errorf("locking %s: %w", name, err)
	}
	return Lock{}, err
}

// WriteFile makes content the content of the file name, durably and at once.
func WriteFile(name string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.new")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return SyncDir(filepath.Dir(name))
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func ReadJSON(name string, v any) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// IsCurrent reports whether name still leads to the open file f.
func IsCurrent(f *os.File, name string) bool {
	opened, err1 := f.Stat()
	named, err2 := os.Lstat(name)
	return err1 == nil && err2 == nil && os.SameFile(opened, named)
}

// NewSuffix is the end of the names of files that are not complete.
const NewSuffix = ".new"
