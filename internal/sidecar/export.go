package sidecar

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/acl"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// storedPrefix begins the names under which trusted.* and security.* attributes of the
// container are stored: see package handlers.
const storedPrefix = owner.Xattr + "."

// Names of attributes.
const (
	accessACL  = "system.posix_acl_access"
	defaultACL = "system.posix_acl_default"
	capability = owner.CapabilityXattr
)

// Export writes an mtree(5) specification of what copies of the tree lack that the user makes
// outside of a container: what the sidecar in the directory dir holds, the records of special
// files, and file capabilities. With all, it also has the records and attributes in user.*
// attributes.
func Export(dir string, tree Tree, all bool, out io.Writer) error {
	return runHelper(request{Command: "export", Sidecar: dir, Trees: []Tree{tree}, All: all}, nil, out, nil)
}

// export writes the specification to standard output.
func (h *helper) export() (any, error) {
	entries, err := h.side.Entries()
	if err != nil {
		return nil, err
	}
	idx := newIndex(entries)
	out := bufio.NewWriter(os.Stdout)
	if _, err := out.WriteString(signature); err != nil {
		return nil, err
	}
	unreadable := 0
	err = h.Trees[0].walk(func(i *inode) error {
		inSidecar := false
		candidates, k, err := idx.lookUp(i)
		if err != nil {
			return fmt.Errorf("%s: %w", i.path, err)
		}
		for _, e := range candidates {
			inSidecar = inSidecar || e.Inode == k
		}
		f, err := h.describe(i, h.All || inSidecar || i.isSpecial())
		if f == nil || err != nil {
			return err
		}
		return f.writeTo(out)
	}, func(path string, err error) {
		unreadable++
		warn(path, err)
	})
	if err != nil {
		return nil, err
	}
	if err := out.Flush(); err != nil {
		return nil, fmt.Errorf("writing the specification: %w", err)
	}
	if unreadable > 0 {
		return nil, errors.New("the export is not complete: directories could not be read")
	}
	return nil, nil
}

// describe returns what is recorded for the inode, or nil if there is nothing. Records of
// regular files and directories count only if recorded is true.
func (h *helper) describe(i *inode, recorded bool) (*file, error) {
	f := &file{path: i.path, kind: i.kind(), mode: i.stat.Mode & 0o7777, ID: owner.Unchanged}
	if recorded {
		if err := h.describeRecord(i, f); err != nil {
			return nil, err
		}
	}
	if i.kind() == unix.S_IFREG {
		value, err := readXattr(pathOf(i.fd), capability)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", i.path, err)
		}
		if value != nil && !owner.IsCapabilityRecord(value) {
			f.xattrs = append(f.xattrs, xattr{capability, value})
		}
	}
	if f.ID == owner.Unchanged && !f.isDevice() && f.xattrs == nil {
		return nil, nil
	}
	slices.SortFunc(f.xattrs, func(a, b xattr) int { return cmp.Compare(a.name, b.name) })
	return f, nil
}

// describeRecord adds the record and the stored attributes of the inode to f.
func (h *helper) describeRecord(i *inode, f *file) error {
	var r owner.Record
	if h.store.Record(i.fd, i.stat.Mode, &r) {
		f.ID = r.ID
		if mode := r.Mode(i.stat.Mode); mode != i.stat.Mode {
			f.kind, f.mode, f.rdev = mode&unix.S_IFMT, mode&0o7777, r.Rdev
		}
		for name, recorded := range map[string][]byte{accessACL: r.Access, defaultACL: r.Default} {
			if recorded == nil {
				continue
			}
			// The kernel has the part without names; without it, the record is void.
			native, err := readXattr(pathOf(i.fd), name)
			if err != nil {
				return fmt.Errorf("%s: %w", i.path, err)
			}
			a, e := acl.Parse(native)
			named, e2 := acl.Parse(recorded)
			if a != nil && e == 0 && e2 == 0 {
				f.xattrs = append(f.xattrs, xattr{name, a.WithNamed(named).Append(nil)})
			}
		}
	}
	var p owner.AttributePath
	path, e := h.store.Attributes(i.fd, i.stat.Mode, false, &p)
	if sys.LacksXattr(e) {
		return nil
	} else if e != 0 {
		return fmt.Errorf("%s: its attributes: %w", i.path, e)
	}
	stored := unix.BytePtrToString(path)
	names, err := listXattrs(stored)
	if errors.Is(err, os.ErrNotExist) {
		return nil // the attribute file stayed on another machine
	}
	for _, name := range names {
		visible, ok := strings.CutPrefix(name, storedPrefix)
		if !ok {
			continue
		}
		value, getErr := readXattr(stored, name)
		err = errors.Join(err, getErr)
		f.xattrs = append(f.xattrs, xattr{visible, value})
	}
	if err != nil {
		return fmt.Errorf("%s: its attributes: %w", i.path, err)
	}
	return nil
}

// pathOf returns the path of an O_PATH descriptor.
func pathOf(fd int) string { return filepath.Join("/proc", string(sys.AppendFD(nil, fd))) }

// readXattr returns the value of an attribute, or nil if the file does not have it or cannot
// have it.
func readXattr(path, name string) ([]byte, error) {
	value := make([]byte, 256)
	for {
		n, err := unix.Getxattr(path, name, value)
		switch {
		case err == nil:
			return value[:n], nil
		case errors.Is(err, unix.ERANGE):
			value = make([]byte, 64<<10) // xattr(7): XATTR_SIZE_MAX
		case errors.Is(err, unix.ENODATA), errors.Is(err, unix.EOPNOTSUPP):
			return nil, nil
		case errors.Is(err, unix.EOVERFLOW): // capabilities for the root of another namespace
			return nil, nil
		default:
			return nil, &os.PathError{Op: "getxattr " + name, Path: path, Err: err}
		}
	}
}

// listXattrs returns the names of the attributes of a file.
func listXattrs(path string) ([]string, error) {
	list := make([]byte, 64<<10) // xattr(7): XATTR_LIST_MAX
	n, err := unix.Listxattr(path, list)
	if err != nil {
		return nil, &os.PathError{Op: "listxattr", Path: path, Err: err}
	}
	var names []string
	for name := range bytes.SplitSeq(list[:n], []byte{0}) {
		if len(name) > 0 {
			names = append(names, string(name))
		}
	}
	return names, nil
}
