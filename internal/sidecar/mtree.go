package sidecar

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vbatts/go-mtree"
	"github.com/vbatts/go-mtree/pkg/govis"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// file is what a line of an mtree(5) specification says about a file, as the container sees
// it.
type file struct {
	path     string // relative to the tree; "." for the tree itself
	kind     uint32 // S_IFMT bits; 0: not said
	mode     uint32 // permission bits
	owner.ID        // Noop: not said
	rdev     uint64 // of devices, as in unix.Stat_t
	xattrs   []xattr
}

type xattr struct {
	name  string
	value []byte
}

// isDevice reports whether f is a character or block device.
func (f *file) isDevice() bool { return f.kind == unix.S_IFCHR || f.kind == unix.S_IFBLK }

// kinds are the values of the keyword type.
var kinds = map[string]uint32{
	"file": unix.S_IFREG, "dir": unix.S_IFDIR, "link": unix.S_IFLNK, "fifo": unix.S_IFIFO,
	"socket": unix.S_IFSOCK, "char": unix.S_IFCHR, "block": unix.S_IFBLK,
}

const signature = "#mtree v2.0\n"

// maxLine is less than the longest line that readers accept, in bytes. Longer ones continue
// after a backslash.
const maxLine = 32 << 10

// writeTo writes f as a line in the full form of mtree(5), with a path that contains a slash.
func (f *file) writeTo(w io.Writer) error {
	path := f.path
	if path != "." {
		path = "./" + path
	}
	words := make([]string, 1, 8)
	var err error
	if words[0], err = govis.Vis(path, mtree.DefaultVisFlags); err != nil {
		return err
	}
	for name, kind := range kinds {
		if kind == f.kind {
			words = append(words, "type="+name)
		}
	}
	words = append(words, fmt.Sprintf("mode=%#o", f.mode))
	if f.UID != owner.Noop {
		words = append(words, fmt.Sprintf("uid=%d", f.UID))
	}
	if f.GID != owner.Noop {
		words = append(words, fmt.Sprintf("gid=%d", f.GID))
	}
	if f.isDevice() {
		words = append(words, fmt.Sprintf("device=linux,%d,%d", unix.Major(f.rdev), unix.Minor(f.rdev)))
	}
	for _, a := range f.xattrs {
		name, err := govis.Vis(a.name, mtree.DefaultVisFlags)
		if err != nil {
			return err
		}
		words = append(words, "xattr."+strings.ReplaceAll(name, "=", `\075`)+"="+base64.StdEncoding.EncodeToString(a.value))
	}
	line := strings.Join(words, " ")
	for len(line) > maxLine {
		if _, err := io.WriteString(w, line[:maxLine]+"\\\n"); err != nil {
			return err
		}
		line = line[maxLine:]
	}
	_, err = io.WriteString(w, line+"\n")
	return err
}

// readFiles reads an mtree specification. Keywords that a file of this package does not need
// are ignored. The error names the file and the keyword.
func readFiles(r io.Reader) ([]file, error) {
	var end tail
	spec, err := parseSpec(io.TeeReader(r, &end))
	if err == nil && end != (tail{}) && (end[1] != '\n' || end[0] == '\\') {
		err = errors.New("it has been cut off: it ends in the middle of a line")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the mtree specification: %w", err)
	}
	var files []file
	for _, e := range spec.Entries {
		if e.Type != mtree.FullType && e.Type != mtree.RelativeType {
			continue
		}
		f := file{ID: owner.Unchanged}
		if f.path, err = e.Path(); err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name, err)
		}
		f.path = filepath.Clean(f.path) // of an empty path: "."
		for _, kv := range e.AllKeys() {
			if err := f.set(string(kv.Keyword()), kv.Value()); err != nil {
				return nil, fmt.Errorf("%s: %s=%s: %w", f.path, kv.Keyword(), kv.Value(), err)
			}
		}
		files = append(files, f)
	}
	if len(files) == 0 && (len(spec.Entries) == 0 || spec.Entries[0].Type != mtree.SignatureType) {
		return nil, errors.New("this is not an mtree specification: it names no file")
	}
	return files, nil
}

// tail is an io.Writer that keeps the last two bytes. An id whose last digits are missing would be
// another user's.
type tail [2]byte

func (t *tail) Write(b []byte) (int, error) {
	if len(b) > 1 {
		t[0] = b[len(b)-2]
	} else if len(b) == 1 {
		t[0] = t[1]
	}
	if len(b) > 0 {
		t[1] = b[len(b)-1]
	}
	return len(b), nil
}

// parseSpec is mtree.ParseSpec, which panics at a line with nothing but a backslash.
func parseSpec(r io.Reader) (spec *mtree.DirectoryHierarchy, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it is malformed: %v", p)
		}
	}()
	return mtree.ParseSpec(r)
}

// set sets what a keyword says.
func (f *file) set(keyword, value string) (err error) {
	var n uint64
	switch keyword {
	case "type":
		if f.kind = kinds[value]; f.kind == 0 {
			return errors.New("unknown type")
		}
	case "mode":
		n, err = strconv.ParseUint(value, 8, 12)
		f.mode = uint32(n)
	case "uid":
		f.UID, err = parseID(value)
	case "gid":
		f.GID, err = parseID(value)
	case "device":
		f.rdev, err = parseDevice(value)
	default:
		name, isXattr := strings.CutPrefix(keyword, "xattr.")
		if !isXattr {
			return nil
		}
		var a xattr
		if a.name, err = govis.Unvis(name, mtree.DefaultVisFlags); err != nil {
			return err
		}
		a.value, err = base64.StdEncoding.DecodeString(value)
		f.xattrs = append(f.xattrs, a)
	}
	return err
}

// parseID parses a user or group id.
func parseID(value string) (uint32, error) {
	n, err := strconv.ParseUint(value, 10, 32)
	if err == nil && n == owner.Noop {
		return 0, errors.New("no user or group has this id")
	}
	return uint32(n), err
}

// parseDevice parses "FORMAT,MAJOR,MINOR". mtree(5) has several formats, with the same
// numbers.
func parseDevice(value string) (uint64, error) {
	fields := strings.Split(value, ",")
	if len(fields) != 3 {
		return 0, errors.New("the device must be FORMAT,MAJOR,MINOR")
	}
	major, err := strconv.ParseUint(fields[1], 0, 12)
	if err != nil {
		return 0, err
	}
	minor, err := strconv.ParseUint(fields[2], 0, 20)
	return unix.Mkdev(uint32(major), uint32(minor)), err
}
