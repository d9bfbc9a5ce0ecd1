package owner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Entry is an entry or an attribute file of a sidecar.
type Entry struct {
	Name       string // file name
	Inode      Key    // what the entry belongs to
	Attributes bool   // it is an attribute file
	Volatile   bool   // it is for this boot only
	Modified   time.Time

	Record // what the entry says; empty for an attribute file
}

// Key identifies an inode in the sidecar, as the names of entries do. Keys of the same inode
// are equal.
type Key struct {
	Device     uint64 // major number in the high half; 0: anonymous, and changes with each mount
	Inode      uint64
	Birth      uint64 // nanoseconds since the epoch; 0: unknown
	Generation uint64 // hash of the file handle; 0: none
}

// KeyOf returns the key of the object that the descriptor fd, which may be an O_PATH one,
// refers to. The error is that of statx(2).
func KeyOf(fd int) (Key, error) {
	var k key
	if e := k.fill(fd, sys.Empty, unix.AT_EMPTY_PATH); e != 0 {
		return Key{}, e
	}
	return k.exported(), nil
}

// KeyOfPath is KeyOf for the object that path leads to. It follows symbolic links.
func KeyOfPath(path string) (Key, error) {
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return Key{}, err
	}
	var k key
	if e := k.fill(unix.AT_FDCWD, p, 0); e != 0 {
		return Key{}, e
	}
	return k.exported(), nil
}

// exported returns k as it is in the name of its entry.
func (k *key) exported() Key {
	parsed, _ := parseKey(unix.ByteSliceToString(k.name[:]))
	return parsed
}

// parseKey parses the name of an entry.
func parseKey(name string) (Key, bool) {
	var n [4]uint64
	fields := strings.Split(name, "-")
	if len(fields) != len(n) {
		return Key{}, false
	}
	for i, f := range fields {
		var err error
		if n[i], err = strconv.ParseUint(f, 16, 64); err != nil {
			return Key{}, false
		}
	}
	return Key{Device: n[0], Inode: n[1], Birth: n[2], Generation: n[3]}, true
}

// Entries returns the entries and attribute files of the sidecar, in no order. Other files in
// the directory, and damaged entries, are left out.
func (s *Sidecar) Entries() ([]Entry, error) {
	lasting, err := listEntries(s.dir, false, nil)
	if err != nil {
		return nil, err
	}
	if s.volatile < 0 {
		return lasting, nil
	}
	volatile, err := listEntries(s.volatile, true, nil)
	return append(lasting, volatile...), err
}

// listEntries returns the entries in a directory of the sidecar, of inodes for which wanted is true, or
// of all if it is nil. Others cost no system call.
func listEntries(dirfd int, volatile bool, wanted func(*Key) bool) ([]Entry, error) {
	fd, err := unix.Openat(dirfd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the sidecar: %w", err)
	}
	dir := os.NewFile(uintptr(fd), "sidecar")
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("reading the sidecar: %w", err)
	}
	var list []Entry
	for _, name := range names {
		e := Entry{Name: name, Volatile: volatile}
		base, attributes := strings.CutSuffix(name, attributeFileSuffix)
		var ok bool
		if e.Inode, ok = parseKey(base); !ok || wanted != nil && !wanted(&e.Inode) {
			continue
		}
		e.Attributes = attributes
		var st unix.Stat_t
		if err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			continue // removed in between
		}
		e.Modified = time.Unix(st.Mtim.Unix())
		if attributes {
			if st.Mode&unix.S_IFMT == unix.S_IFREG {
				list = append(list, e)
			}
			continue
		}
		var target [maxEntry]byte
		n, err := unix.Readlinkat(fd, name, target[:])
		if err == nil && n < maxEntry && e.parseEntry(target[:n]) {
			list = append(list, e)
		}
	}
	return list, nil
}

// Remove removes an entry or attribute file. It is no error if it does not exist.
func (s *Sidecar) Remove(e Entry) error {
	dir := s.dir
	if e.Volatile {
		dir = s.volatile
	}
	if err := unix.Unlinkat(dir, e.Name, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &os.PathError{Op: "remove", Path: e.Name, Err: err}
	}
	return nil
}
