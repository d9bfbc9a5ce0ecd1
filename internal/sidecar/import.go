package sidecar

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/acl"
	"github.com/rootless-containers/subuidless/internal/owner"
)

// Import records what the mtree(5) specification in says about the files of the tree: their
// owners, devices, ACLs and attributes. It creates devices that do not exist. Records are in
// the inodes if those can carry them, and else in the sidecar in the directory dir. Nothing
// changes if the specification has an error.
func Import(dir string, tree Tree, in io.Reader) error {
	return runHelper(request{Command: "import", Sidecar: dir, Trees: []Tree{tree}}, in, nil, nil)
}

// apply imports the specification in standard input.
func (h *helper) apply() (any, error) {
	files, err := readFiles(os.Stdin)
	if err != nil {
		return nil, err
	}
	tree := h.Trees[0]
	root, err := unix.Open(tree.Path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: tree.Name, Err: err}
	}
	failed := 0
	for n := range files {
		if err := h.applyTo(root, &files[n]); err != nil {
			warn(filepath.Join(tree.Name, files[n].path), err)
			failed++
		}
	}
	if failed > 0 {
		return nil, fmt.Errorf("%d of %d files could not be changed", failed, len(files))
	}
	return nil, nil
}

// applyTo records what f says about its file below the directory root.
func (h *helper) applyTo(root int, f *file) error {
	fd, err := openBelow(root, f.path)
	created := false
	if errors.Is(err, unix.ENOENT) && f.isDevice() {
		fd, err = createPlaceholder(root, f)
		created = err == nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	i := inode{path: f.path, fd: fd}
	if err := unix.Fstat(fd, &i.stat); err != nil {
		return err
	}
	err = h.record(&i, f)
	if err != nil && created {
		return errors.Join(err, removeBelow(root, f.path))
	}
	return err
}

// record records what f says about the inode.
func (h *helper) record(i *inode, f *file) error {
	var r owner.Record
	h.store.Record(i.fd, i.stat.Mode, &r)
	if err := f.checkType(i, &r); err != nil {
		return err
	}
	if f.UID != owner.Noop {
		r.UID = f.UID
	}
	if f.GID != owner.Noop {
		r.GID = f.GID
	}
	if f.isDevice() {
		r.Type, r.Rdev = f.kind, f.rdev
	}
	if r.UID != owner.Noop || r.GID != owner.Noop || r.Type != 0 {
		if e := h.store.SetRecord(i.fd, i.stat.Dev, i.stat.Mode, &r); e != 0 {
			return fmt.Errorf("recording the owner: %w", e)
		}
	}
	for _, a := range f.xattrs {
		if err := h.setXattr(i, a); err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
	}
	return nil
}

// checkType returns an error if the inode, with the record r, is not what f says.
func (f *file) checkType(i *inode, r *owner.Record) error {
	is := r.Mode(i.stat.Mode) & unix.S_IFMT
	if f.kind == 0 || f.kind == is {
		return nil
	}
	if f.isDevice() && r.Type == 0 {
		// A copy of the placeholder that has lost its record.
		device := owner.Record{Type: f.kind, Rdev: f.rdev}
		if is == device.PlaceholderType() && i.stat.Size == 0 {
			return nil
		}
	}
	return errors.New("is of another type than in the specification")
}

// setXattr gives the inode an attribute of the container.
func (h *helper) setXattr(i *inode, a xattr) error {
	switch {
	case a.name == accessACL, a.name == defaultACL:
		return h.setACL(i, a)
	case a.name == capability && !i.isSpecial():
		return unix.Setxattr(pathOf(i.fd), a.name, a.value, 0)
	case strings.HasPrefix(a.name, "user.") && a.name != owner.Xattr && !strings.HasPrefix(a.name, storedPrefix):
		return unix.Setxattr(pathOf(i.fd), a.name, a.value, 0)
	case strings.HasPrefix(a.name, "security."):
		h.store.NoteSecurity()
	case !strings.HasPrefix(a.name, "trusted."):
		return errors.New("this attribute cannot be imported")
	}
	var p owner.AttributePath
	path, e := h.store.Attributes(i.fd, i.stat.Mode, true, &p)
	if e != 0 {
		return e
	}
	return unix.Setxattr(unix.BytePtrToString(path), storedPrefix+a.name, a.value, 0)
}

// setACL gives the inode an ACL. The kernel stores the part without names, and the record the
// whole, if it names ids.
func (h *helper) setACL(i *inode, a xattr) error {
	list, e := acl.Parse(a.value)
	if e != 0 {
		return e
	}
	unnamed := list.Unnamed().Append(nil)
	if string(unnamed) != string(a.value) {
		var r owner.Record
		h.store.Record(i.fd, i.stat.Mode, &r)
		if a.name == accessACL {
			r.Access = a.value
		} else {
			r.Default = a.value
		}
		if e := h.store.SetRecord(i.fd, i.stat.Dev, i.stat.Mode, &r); e != 0 {
			return e
		}
	}
	return unix.Setxattr(pathOf(i.fd), a.name, unnamed, 0)
}

// openBelow opens the object at path, which must be below the directory root, with O_PATH. It
// follows no symbolic links.
func openBelow(root int, path string) (int, error) {
	return unix.Openat2(root, path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
}

// createPlaceholder creates the placeholder of the device f, without a record, and opens it.
func createPlaceholder(root int, f *file) (int, error) {
	parent, err := openBelow(root, filepath.Dir(f.path))
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	device := owner.Record{Type: f.kind, Rdev: f.rdev}
	name := filepath.Base(f.path)
	if err := unix.Mknodat(parent, name, device.PlaceholderType()|f.mode&0o777, 0); err != nil {
		return -1, fmt.Errorf("creating the device: %w", err)
	}
	return openBelow(parent, name)
}

// removeBelow removes the file at path below the directory root.
func removeBelow(root int, path string) error {
	parent, err := openBelow(root, filepath.Dir(path))
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	return unix.Unlinkat(parent, filepath.Base(path), 0)
}
