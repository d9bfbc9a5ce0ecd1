package layer

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// create creates the object of the entry h as base in the directory parent.
func (u *Unpacker) create(h *tar.Header, r io.Reader, parent, base string) error {
	record, err := recordOf(h)
	if err != nil {
		return err
	}
	if h.Typeflag == tar.TypeDir {
		if err := u.mkdir(parent, base); err != nil {
			return err
		}
		return u.directoryAttributes(h, path.Join(parent, base))
	}
	if h.Typeflag == tar.TypeLink {
		return u.link(h, parent, base)
	}
	if _, err := u.vacate(parent, base); err != nil {
		return err
	}
	dirfd, err := u.open(parent)
	if err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		return u.regular(h, r, dirfd, base, record)
	case tar.TypeSymlink:
		if err := unix.Symlinkat(h.Linkname, dirfd, base); err != nil {
			return fmt.Errorf("symlink: %w", err)
		}
	case tar.TypeFifo:
		err = unix.Mknodat(dirfd, base, unix.S_IFIFO|0o600, 0)
	case tar.TypeChar, tar.TypeBlock:
		if u.Owners == nil {
			err = mknodDevice(dirfd, base, record)
			break
		}
		if record.PlaceholderType() == unix.S_IFREG {
			return u.regular(h, bytes.NewReader(nil), dirfd, base, record)
		}
		err = unix.Mknodat(dirfd, base, unix.S_IFSOCK|0o600, 0)
	default:
		return fmt.Errorf("entries of type %q are not supported in layers", h.Typeflag)
	}
	if err != nil {
		return fmt.Errorf("mknod: %w", err)
	}
	fd, err := openBeneath(dirfd, base, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return u.attributes(h, fd, record)
}

// mknodDevice creates the device that record describes.
func mknodDevice(dirfd int, base string, record *owner.Record) error {
	if record.Type == unix.S_IFCHR && record.Rdev == 0 {
		return errors.New("a character device 0:0 would be a whiteout of overlayfs")
	}
	return unix.Mknodat(dirfd, base, record.Type|0o600, int(record.Rdev))
}

// recordOf returns the record for the entry h.
func recordOf(h *tar.Header) (*owner.Record, error) {
	r := new(owner.Record)
	for _, id := range []struct {
		name  string
		value int
		to    *uint32
	}{{"uid", h.Uid, &r.UID}, {"gid", h.Gid, &r.GID}} {
		if id.value < 0 || id.value >= math.MaxUint32 {
			return nil, fmt.Errorf("%s %d is not a valid id (0 to 4294967294)", id.name, id.value)
		}
		*id.to = uint32(id.value)
	}
	switch h.Typeflag {
	case tar.TypeChar:
		r.Type = unix.S_IFCHR
	case tar.TypeBlock:
		r.Type = unix.S_IFBLK
	default:
		return r, nil
	}
	if h.Devmajor < 0 || h.Devmajor >= 1<<12 || h.Devminor < 0 || h.Devminor >= 1<<20 {
		return nil, fmt.Errorf("device number %d:%d is not valid", h.Devmajor, h.Devminor)
	}
	r.Rdev = unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))
	return r, nil
}

// mkdir creates the directory base in the directory parent, unless it is there.
func (u *Unpacker) mkdir(parent, base string) error {
	dirfd, err := u.open(parent)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if unix.Fstatat(dirfd, base, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return nil
	}
	if u.live && st.Mode != 0 {
		return errors.New("something that is not a directory is in its place")
	}
	replaced, err := u.vacate(parent, base)
	if err != nil {
		return err
	}
	if err := unix.Mkdirat(dirfd, base, 0o755); err != nil {
		return fmt.Errorf("mkdir: %w", err)
	}
	if replaced { // what was there has hidden the layers below
		return u.setOpaque(path.Join(parent, base))
	}
	return nil
}

// vacate removes what the new layer has as base in the directory parent, and reports whether
// there was something.
func (u *Unpacker) vacate(parent, base string) (bool, error) {
	dirfd, err := u.open(parent)
	if err != nil {
		return false, err
	}
	switch err := unix.Unlinkat(dirfd, base, 0); err {
	case nil:
		return true, nil
	case unix.ENOENT:
		return false, nil
	case unix.EISDIR:
	default:
		return false, fmt.Errorf("unlink: %w", err)
	}
	if u.live {
		return false, errors.New("a directory is in its place")
	}
	// A later entry replaces a directory of the same layer.
	u.parents = map[string]string{}
	if err := RemoveAt(dirfd, base); err != nil {
		return false, err
	}
	return true, nil
}

// link creates a hard link.
func (u *Unpacker) link(h *tar.Header, parent, base string) error {
	name, err := cleanName(h.Linkname)
	if err != nil {
		return fmt.Errorf("hard link to %q: %w", h.Linkname, err)
	}
	dir, last := path.Split(name)
	dir, err = u.parent(path.Clean(dir))
	if err != nil {
		return fmt.Errorf("hard link to %q: %w", h.Linkname, err)
	}
	if path.Join(dir, last) == path.Join(parent, base) {
		return nil
	}
	target, err := u.tree.resolve(path.Join(dir, last), false)
	if err != nil {
		return fmt.Errorf("hard link to %q: %w", h.Linkname, err)
	}
	if target.kind() == unix.S_IFDIR {
		return fmt.Errorf("hard link to %q: %w", h.Linkname, unix.EISDIR)
	}
	if target.in[0] != 0 {
		if err := u.copyUp(target, dir, last); err != nil {
			return fmt.Errorf("hard link to %q: %w", h.Linkname, err)
		}
	}
	if _, err := u.vacate(parent, base); err != nil {
		return err
	}
	from, err := openBeneath(u.new, dir, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(from)
	to, err := u.open(parent)
	if err != nil {
		return err
	}
	if err := unix.Linkat(from, last, to, base, 0); err != nil {
		return fmt.Errorf("hard link to %q: %w", h.Linkname, err)
	}
	return u.linkAttributes(h, to, base, target.kind())
}

// linkAttributes gives a file, to which base in the directory dirfd has become a hard link, what the
// entry h of that link says, as docker and podman do. Its st_mode has this kind.
func (u *Unpacker) linkAttributes(h *tar.Header, dirfd int, base string, kind uint32) error {
	record, err := recordOf(h)
	if err != nil {
		return err
	}
	flags := uint64(unix.O_PATH | unix.O_NOFOLLOW)
	if kind == unix.S_IFREG {
		flags = unix.O_RDONLY | unix.O_NOFOLLOW
	}
	fd, err := openBeneath(dirfd, base, flags)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return u.attributes(h, fd, record)
}

// copyUp copies the file n of a layer below to the new layer, as base in the directory dir.
func (u *Unpacker) copyUp(n *node, dir, base string) error {
	to, err := u.open(dir)
	if err != nil {
		return err
	}
	return copyFile(u.tree.dirs[n.in[0]], n.path, to, base)
}

// regular creates a regular file with the content of r.
func (u *Unpacker) regular(h *tar.Header, r io.Reader, dirfd int, base string, record *owner.Record) error {
	if h.Size > u.Limits.Size {
		return exceeds("bytes in one file", u.Limits.Size)
	}
	fd, err := unix.Openat(dirfd, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("creating the file: %w", err)
	}
	defer unix.Close(fd)
	if err := u.write(fd, r); err != nil {
		return err
	}
	return u.attributes(h, fd, record)
}

// write writes r to fd, with holes for blocks of zeros.
func (u *Unpacker) write(fd int, r io.Reader) error {
	var size int64
	hole := false
	for {
		n, err := io.ReadFull(r, u.buf)
		if n > 0 {
			b := u.buf[:n]
			if hole = allZero(b); !hole {
				if u.bytes += int64(n); u.bytes > u.Limits.Bytes {
					return exceeds("bytes", u.Limits.Bytes)
				}
				if err := pwriteAll(fd, b, size); err != nil {
					return fmt.Errorf("write: %w", err)
				}
			}
			size += int64(n)
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF && n < len(u.buf) {
			break
		}
		if err != nil {
			return err
		}
	}
	if hole {
		return unix.Ftruncate(fd, size)
	}
	return nil
}

var zeros [4096]byte

func allZero(b []byte) bool {
	if len(b) < len(zeros) {
		return false
	}
	for len(b) > 0 {
		n := min(len(b), len(zeros))
		if !bytes.Equal(b[:n], zeros[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}

func pwriteAll(fd int, b []byte, at int64) error {
	for len(b) > 0 {
		n, err := unix.Pwrite(fd, b, at)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b, at = b[n:], at+int64(n)
	}
	return nil
}

// directoryAttributes gives the directory name of the new layer the attributes of h.
func (u *Unpacker) directoryAttributes(h *tar.Header, name string) error {
	record, err := recordOf(h)
	if err != nil {
		return err
	}
	fd, err := openBeneath(u.new, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	u.times[name] = h.ModTime
	return u.attributes(h, fd, record)
}

// attributes gives the object that fd refers to the owner, the mode, the attributes and the
// times of h. A hard link changes what the object has: it stays the device that it is, and keeps the
// ACLs and attributes that h does not name.
func (u *Unpacker) attributes(h *tar.Header, fd int, record *owner.Record) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	kind, link := st.Mode&unix.S_IFMT, h.Typeflag == tar.TypeLink
	if link {
		if err := u.keepRecorded(fd, &st, record); err != nil {
			return err
		}
	}
	acls, err := aclsOf(h)
	if err != nil {
		return err
	}
	if kind != unix.S_IFREG && kind != unix.S_IFDIR && len(acls) > 0 {
		u.Warn(fmt.Sprintf("%s: its ACL is not kept: only files and directories can have one", h.Name))
		acls = nil
	}
	if err := u.setOwner(fd, &st, record, acls, !link); err != nil {
		return fmt.Errorf("storing the owner %d:%d: %w", record.UID, record.GID, err)
	}
	if kind == unix.S_IFLNK {
		u.warnOfXattrs(h)
		if link {
			return nil // as docker and podman
		}
		return setTimesOf(fd, accessTime(h), h.ModTime)
	}
	if err := acls.set(fd, u.Owners != nil); err != nil {
		return err
	}
	if err := u.setXattrs(h, fd, kind); err != nil {
		return err
	}
	if err := fchmod(fd, uint32(h.Mode)&0o7777, kind); err != nil {
		return fmt.Errorf("chmod: %w", err)
	}
	if kind == unix.S_IFDIR {
		return nil // setTimes
	}
	return setTimesOf(fd, accessTime(h), h.ModTime)
}

// keepRecorded completes record, which has only the owner, from the existing record of the object that
// fd refers to. As chown(2) does, it removes the file capabilities if the owner changes.
func (u *Unpacker) keepRecorded(fd int, st *unix.Stat_t, record *owner.Record) error {
	if u.Owners == nil {
		return nil
	}
	id := record.ID
	u.Owners.Record(fd, st.Mode, record)
	before := record.Over(owner.ID{UID: st.Uid, GID: st.Gid})
	record.ID = id
	if st.Mode&unix.S_IFMT != unix.S_IFREG || record.Type != 0 || before == id {
		return nil
	}
	for _, name := range []string{owner.CapabilityXattr, owner.Xattr + "." + owner.CapabilityXattr} {
		if err := unix.Fremovexattr(fd, name); err != nil && err != unix.ENODATA && err != unix.EOPNOTSUPP {
			return fmt.Errorf("removing its file capabilities: %w", err)
		}
	}
	return nil
}

// setOwner gives the object that fd refers to, of status st, the owner of the record, which
// also gets those of the ACLs that the kernel does not store. New means that it has no record.
func (u *Unpacker) setOwner(fd int, st *unix.Stat_t, record *owner.Record, acls acls, new bool) error {
	if u.Owners == nil {
		if st.Uid == record.UID && st.Gid == record.GID {
			return nil // and keep the file capabilities
		}
		return unix.Fchownat(fd, "", int(record.UID), int(record.GID), unix.AT_EMPTY_PATH)
	}
	acls.record(record)
	if new && record.ID == u.Owners.Mapped && record.Type == 0 && len(record.Access)+len(record.Default) == 0 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil // a new file belongs to root
	}
	if e := u.Owners.SetRecord(fd, st.Dev, st.Mode, record); e != 0 {
		return e
	}
	return nil
}

func accessTime(h *tar.Header) time.Time {
	if h.AccessTime.IsZero() {
		return h.ModTime
	}
	return h.AccessTime
}

// isStoredName reports whether an attribute is one of the names under which package handlers
// stores those of the container, or a mark. A layer must not set them.
func isStoredName(name string) bool {
	return name == owner.Xattr || strings.HasPrefix(name, owner.Xattr+".") || IsMark(name)
}
