package bundle

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Read returns the contents and the permission bits of a bundle's config.json. Anything but a
// regular file is an error: a FIFO could keep the caller waiting for ever, and a device has no end.
func Read(path string) (text []byte, mode fs.FileMode, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // returns at once for a FIFO, too
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, &fs.PathError{Op: "read", Path: path, Err: errNotRegular}
	}
	text, err = io.ReadAll(f)
	return text, info.Mode().Perm(), err
}

var errNotRegular = errors.New("not a regular file")
