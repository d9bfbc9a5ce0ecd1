package fakeroot

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// A state file has one line for each inode, as faked's save_database writes it: numbers as in
// struct stat, dev in hexadecimal and mode in octal.
const lineFormat = "dev=%x,ino=%d,mode=%o,uid=%d,gid=%d,nlink=%d,rdev=%d\n"

// parseLine parses a line of a state file.
func parseLine(line string) (s owner.SavedInode, err error) {
	n, err := fmt.Sscanf(line, lineFormat, &s.Dev, &s.Ino, &s.Mode, &s.UID, &s.GID, &s.Nlink, &s.Rdev)
	switch {
	case err != nil:
		return s, fmt.Errorf("value %d: %w", n+1, err)
	case s.Mode&unix.S_IFMT == 0:
		return s, fmt.Errorf("mode=%o has no file type", s.Mode)
	}
	return s, nil
}

// load adds the records of a state file to t. A last line without a line feed is an error: it has been
// cut off, and its last number may have had more digits.
func load(r io.Reader, t *owner.Temporary) error {
	for b, n := bufio.NewReader(r), 1; ; n++ {
		line, err := b.ReadString('\n')
		switch {
		case err == io.EOF && strings.TrimSpace(line) == "":
			return nil
		case err == io.EOF:
			return fmt.Errorf("line %d: the file has been cut off here", n)
		case err != nil:
			return err
		case strings.TrimSpace(line) == "":
			continue
		}
		s, err := parseLine(line)
		if err == nil {
			err = t.Load(s)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w (want a file of fakeroot -s)", n, err)
		}
	}
}

// save writes a state file with these records.
func save(name string, records iter.Seq[owner.SavedInode]) error {
	st, err := os.Stat(name)
	if err == nil && !st.Mode().IsRegular() { // a FIFO, or /dev/stdout
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f, records), f.Close())
	}
	// A state file that is only half written must not replace the old one.
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".")
	if err != nil {
		return err
	}
	mode := os.FileMode(0o666) &^ os.FileMode(umask())
	if st != nil {
		mode = st.Mode().Perm()
	}
	// Without Sync, a power cut after the renaming could leave it empty.
	err = errors.Join(write(f, records), f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func write(w io.Writer, records iter.Seq[owner.SavedInode]) error {
	b := bufio.NewWriter(w)
	for s := range records {
		fmt.Fprintf(b, lineFormat, s.Dev, s.Ino, s.Mode, s.UID, s.GID, s.Nlink, s.Rdev)
	}
	return b.Flush()
}

// umask returns the umask of this process, which has no other way to read it.
func umask() int {
	mask := unix.Umask(0o077)
	unix.Umask(mask)
	return mask
}
