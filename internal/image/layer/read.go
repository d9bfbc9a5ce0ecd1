package layer

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// Tree reads the objects of a Stack as entries of a layer's archive. The inverse is Unpacker.
type Tree struct {
	*Stack

	// Owners reads the records, with 0:0 as Mapped; nil: see the package comment.
	Owners *owner.Store
	// Plain means that the tree is a directory of the host, and not a layer: its files belong
	// to 0:0, whatever the host or records say.
	Plain bool
}

// OpenTree opens the directory that the descriptor dir refers to, such as the root of a container,
// as a tree. Closing the tree closes dir. Owners is Tree.Owners.
func OpenTree(dir int, owners *owner.Store) *Tree {
	return &Tree{Stack: &Stack{dirs: []int{dir}}, Owners: owners}
}

// Object is an object of a Tree.
type Object struct{ node *node }

// Path returns the path of the object without symbolic links, relative to the root, which is
// ".".
func (o *Object) Path() string { return o.node.path }

// Kind returns the type of the inode, such as unix.S_IFREG.
func (o *Object) Kind() uint32 { return o.node.kind() }

// Size returns the size of a regular file in bytes.
func (o *Object) Size() int64 { return o.node.stat.Size }

// Lookup returns the object at name, as a process whose root is the tree finds it. With follow,
// it follows a symbolic link in the last component. The errors are those of stat(2).
func (t *Tree) Lookup(name string, follow bool) (*Object, error) {
	n, err := t.resolve(name, follow)
	if err != nil {
		return nil, err
	}
	return &Object{n}, nil
}

// Child returns the object name in the directory dir.
func (t *Tree) Child(dir *Object, name string) (*Object, error) {
	n, err := t.child(dir.node, name)
	if err != nil {
		return nil, err
	}
	return &Object{n}, nil
}

// Names returns the sorted names in the directory dir.
func (t *Tree) Names(dir *Object) ([]string, error) {
	var all []string
	for _, i := range dir.node.in {
		names, err := namesIn(t.dirs[i], dir.node.path)
		if err != nil {
			return nil, err
		}
		all = append(all, names...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	var there []string
	for _, name := range all {
		_, err := t.child(dir.node, name)
		switch {
		case err == nil:
			there = append(there, name)
		case !errors.Is(err, unix.ENOENT): // a whiteout
			return nil, err
		}
	}
	return there, nil
}

// namesIn returns the names in the directory name below the directory root.
func namesIn(root int, name string) ([]string, error) {
	fd, err := openBeneath(root, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, fmt.Errorf("/%s: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	return f.Readdirnames(-1)
}

// Content opens a regular file for reading.
func (t *Tree) Content(o *Object) (io.ReadCloser, error) {
	fd, err := openBeneath(t.dirs[o.node.in[0]], o.node.path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("/%s: %w", o.node.path, err)
	}
	return os.NewFile(uintptr(fd), o.node.path), nil
}

// Inode returns what identifies the inode of a file that has several hard links; ok is false if
// it has one only.
func (t *Tree) Inode(o *Object) (id [2]uint64, ok bool) {
	st := &o.node.stat
	return [2]uint64{st.Dev, st.Ino}, st.Nlink > 1 && o.Kind() != unix.S_IFDIR
}

// isMountPoint reports whether the object is the root of a mount.
func (t *Tree) isMountPoint(o *Object) (bool, error) {
	var st unix.Statx_t
	err := unix.Statx(t.dirs[o.node.in[0]], o.node.path, unix.AT_SYMLINK_NOFOLLOW, 0, &st)
	if err != nil {
		return false, fmt.Errorf("/%s: %w", o.node.path, err)
	}
	return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// errSocket means that an object is a socket, which archives cannot have.
var errSocket = errors.New("sockets cannot be in a layer")

// IsSocket reports whether an error of Header means that the object is a socket.
func IsSocket(err error) bool { return errors.Is(err, errSocket) }

// Header returns the entry for the object, with its path as the name. Directories have no slash
// at the end. Modification times are in seconds, as in the archives of other tools.
func (t *Tree) Header(o *Object) (*tar.Header, error) {
	h, err := readHeader(t.dirs[o.node.in[0]], o.node.path, t.Owners, t.Plain)
	if err != nil {
		return nil, fmt.Errorf("/%s: %w", o.node.path, err)
	}
	h.Name = o.node.path
	return h, nil
}

// readHeader is Header for the object name below the directory dir.
func readHeader(dir int, name string, owners *owner.Store, plain bool) (*tar.Header, error) {
	fd, err := openBeneath(dir, name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	mode, record := st.Mode, owner.Record{ID: owner.ID{UID: st.Uid, GID: st.Gid}, Rdev: st.Rdev}
	switch {
	case plain:
		record = owner.Record{Rdev: st.Rdev}
	case owners != nil:
		kernel := record.ID
		record = owner.Record{}
		owners.Record(fd, st.Mode, &record)
		record.ID = record.Over(kernel)
		mode = record.Mode(mode)
	}
	h := &tar.Header{
		Mode: int64(mode & 0o7777), Uid: int(record.UID), Gid: int(record.GID),
		ModTime: time.Unix(st.Mtim.Sec, 0),
	}
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		h.Typeflag, h.Size = tar.TypeReg, st.Size
	case unix.S_IFDIR:
		h.Typeflag = tar.TypeDir
	case unix.S_IFLNK:
		h.Typeflag = tar.TypeSymlink
		if h.Linkname, err = readlinkAt(fd, ""); err != nil {
			return nil, err
		}
		return h, nil
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	case unix.S_IFCHR, unix.S_IFBLK:
		h.Typeflag = tar.TypeChar
		if mode&unix.S_IFMT == unix.S_IFBLK {
			h.Typeflag = tar.TypeBlock
		}
		h.Devmajor, h.Devminor = int64(unix.Major(record.Rdev)), int64(unix.Minor(record.Rdev))
	default:
		return nil, errSocket
	}
	return h, readXattrs(h, fd, h.Typeflag == tar.TypeReg && record.Type == 0, &record)
}

// readXattrs adds the extended attributes and ACLs of the object that fd refers to. Regular means
// that it is a regular file and no placeholder.
func readXattrs(h *tar.Header, fd int, regular bool, record *owner.Record) error {
	file := procPath(fd)
	names, err := listXattrs(file)
	if err != nil {
		return err
	}
	set := func(name string, value []byte) {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords[paxXattr+name] = string(value)
	}
	for _, name := range names {
		if IsMark(name) || name == owner.Xattr || name == "security.selinux" || strings.HasPrefix(name, "system.") && name != accessACL && name != defaultACL {
			continue
		}
		value, err := getXattr(file, name)
		if err == unix.ENODATA {
			continue
		}
		if err != nil {
			return fmt.Errorf("attribute %s: %w", name, err)
		}
		if name == owner.CapabilityXattr && (!regular || owner.IsCapabilityRecord(value)) {
			continue // a record, or the mark of an attribute that is stored under another name
		}
		if stored, ok := strings.CutPrefix(name, owner.Xattr+"."); ok {
			name = stored
		}
		set(name, value)
	}
	if record.Access != nil {
		set(accessACL, record.Access)
	}
	if record.Default != nil {
		set(defaultACL, record.Default)
	}
	return nil
}

// Readlink returns the target of a symbolic link.
func (t *Tree) Readlink(o *Object) (string, error) { return t.readlink(o.node) }
