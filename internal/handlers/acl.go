package handlers

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/acl"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/perm"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// The kernel refuses ACLs that name an id which is not mapped. Of such an ACL, the kernel
// stores the entries without named users and groups, so that it maintains the mode,
// chmod(2), the inheritance of default ACLs and the list of attributes by itself. The
// record stores the complete ACL; its named entries count as long as the kernel has an ACL.

// aclKind is an access ACL or a default ACL. The value is the NUL-terminated name of the
// attribute.
type aclKind string

const (
	accessACL  aclKind = "system.posix_acl_access\x00"
	defaultACL aclKind = "system.posix_acl_default\x00"
)

func (k aclKind) name() *byte { return unsafe.StringData(string(k)) }

// field returns the field of r that stores the ACL.
func (k aclKind) field(r *owner.Record) *[]byte {
	if k == accessACL {
		return &r.Access
	}
	return &r.Default
}

// nativeACL returns the kernel's ACL of the inode, as the value of the attribute. The error
// is ENODATA if there is none, and EOPNOTSUPP if the inode cannot have one.
func nativeACL(i *inode, kind aclKind) ([]byte, unix.Errno) {
	value := make([]byte, 256)
	for {
		n, e := getxattrOPath(i.fd, kind.name(), value)
		if e != unix.ERANGE {
			return value[:max(n, 0)], e
		}
		value = make([]byte, xattrSizeMax)
	}
}

// withRecorded returns the ACL that the kernel stores as native, with the named entries of
// recorded.
func withRecorded(native, recorded []byte) acl.ACL {
	a, _ := acl.Parse(native) // the kernel stores valid ACLs only
	named, _ := acl.Parse(recorded)
	return a.WithNamed(named)
}

// namesUnmapped reports whether the ACL names an id that is not mapped.
func (c *Call) namesUnmapped(a acl.ACL) bool {
	for _, e := range a {
		if e.Tag == acl.User && e.ID != c.Owners.Mapped.UID || e.Tag == acl.Group && e.ID != c.Owners.Mapped.GID {
			return true
		}
	}
	return false
}

// getACL handles a call that reads an ACL of the object o into size bytes at addr.
func (c *Call) getACL(o object, kind aclKind, addr uintptr, size uint64) Result {
	p, e := c.pathOf(o)
	if e != 0 {
		return Errno(e)
	}
	i, e := c.openRecorded(p)
	if e != 0 {
		return continueUnlessDenied(e)
	}
	defer c.close(i)
	recorded := *kind.field(&i.record)
	n := c.namespace()
	if recorded == nil && n == nil || c.badDescriptor(p) {
		return Continue
	}
	native, e := nativeACL(i, kind)
	if e != 0 {
		return Errno(e)
	}
	a := withRecorded(native, recorded)
	if n != nil {
		a = a.Translated(n.SeenUID, n.SeenGID)
	}
	return c.returnValue(a.Append(nil), addr, size)
}

// returnValue returns value, a list or an attribute, from a call that reads it into size
// bytes at addr.
//
// getxattr(2), listxattr(2): "If size is specified as zero, these calls return the current
// size". "ERANGE The size of the [...] buffer is too small to hold the result."
func (c *Call) returnValue(value []byte, addr uintptr, size uint64) Result {
	switch {
	case size == 0:
		return Return(len(value))
	case size < uint64(len(value)):
		return Errno(unix.ERANGE)
	}
	if e := c.write(addr, value); e != 0 {
		return Errno(e)
	}
	return Return(len(value))
}

// setACL handles a call that sets an ACL of the object o to value, or removes it if value is nil. A
// value without entries removes it, too; before Linux 6.2, one of 0 bytes is EINVAL.
func (c *Call) setACL(o object, kind aclKind, value []byte) Result {
	a, e := acl.Decode(value)
	if e != 0 {
		return Continue // the kernel finds the same error
	}
	p, e := c.pathOf(o)
	if e != 0 {
		return Errno(e)
	}
	n := c.namespace()
	if n != nil && len(a) > 0 {
		a = a.Translated(n.UID, n.GID)
		value = a.Append(nil)
	}
	foreign := c.namesUnmapped(a)
	privileged := c.kernelDecides(1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID)
	if privileged && !foreign && !p.ViaProcSelf() && c.Owners.Peek(p.Ptr, p.Follow, true) == owner.None {
		return Continue
	}
	if c.badDescriptor(p) {
		return Errno(unix.EBADF)
	}
	i, e := c.openPath(p)
	if e != 0 {
		return Errno(e)
	}
	defer c.close(i)
	if n != nil && a.NamesNobody() {
		return deny(i, unix.EINVAL) // an id that is not mapped
	}
	c.Owners.Lock(i.lockKey())
	defer c.Owners.Unlock(i.lockKey())
	if i.mayHaveSetID() {
		if e := c.refresh(i); e != 0 {
			return Errno(e)
		}
	}
	if done, e := c.mayChangeACL(i, kind, a); done || e != 0 {
		return deny(i, e)
	}
	if len(a) > 0 && !a.Valid() {
		return Errno(unix.EINVAL)
	}
	if !c.Listener.Waits() {
		return Errno(unix.ESRCH)
	}
	c.load(i)
	if foreign {
		e = c.setUnmappedACL(i, kind, a)
	} else {
		e = c.setNativeACL(i, kind, value)
	}
	if e == 0 && kind == accessACL {
		switch {
		case len(a) > 0:
			e = c.dropSetgid(i, a.Mode())
		case removalDropsSetgid(i):
			e = c.dropSetgid(i, i.stat.Mode&0o777)
		}
	}
	return Errno(e)
}

// mayChangeACL decides as the kernel does in set_posix_acl. Done means that the call
// succeeds without a change.
func (c *Call) mayChangeACL(i *inode, kind aclKind, to acl.ACL) (done bool, e unix.Errno) {
	if _, e := getxattrOPath(i.fd, kind.name(), nil); e == unix.EOPNOTSUPP {
		return false, e
	}
	// acl(5): "a directory may have a default ACL associated with it".
	if kind == defaultACL && !i.isDir() {
		if len(to) > 0 {
			return false, unix.EACCES
		}
		return true, 0
	}
	if !perm.Owner(c.identity().Credentials, c.visible(i)) {
		return false, unix.EPERM
	}
	return false, 0
}

// setUnmappedACL sets the ACL of the inode, whose record has been loaded, to a, which names
// ids that are not mapped.
func (c *Call) setUnmappedACL(i *inode, kind aclKind, a acl.ACL) unix.Errno {
	// The record is written first, because it may fail for lack of space.
	recorded := kind.field(&i.record)
	old := *recorded
	*recorded = a.Append(nil)
	if e := c.Owners.SetRecord(i.fd, i.stat.Dev, i.stat.Mode, &i.record); e != 0 {
		return e
	}
	e := setxattrOPath(i.fd, kind.name(), a.Unnamed().Append(nil), 0)
	if e == 0 {
		return 0
	}
	*recorded = old
	if e := c.Owners.SetRecord(i.fd, i.stat.Dev, i.stat.Mode, &i.record); e != 0 {
		return e
	}
	return e
}

// setNativeACL lets the kernel set the ACL, or remove it if value is nil, and clears the recorded
// one.
func (c *Call) setNativeACL(i *inode, kind aclKind, value []byte) unix.Errno {
	var e unix.Errno
	if value == nil {
		e = removexattrOPath(i.fd, kind.name())
	} else {
		e = setxattrOPath(i.fd, kind.name(), value, 0)
	}
	if e != 0 {
		return e
	}
	recorded := kind.field(&i.record)
	if *recorded == nil {
		return 0
	}
	*recorded = nil
	return c.Owners.SetRecord(i.fd, i.stat.Dev, i.stat.Mode, &i.record)
}

// dropSetgid clears the S_ISGID of a file whose permissions an ACL has changed, if chmod(2)
// by the caller would.
func (c *Call) dropSetgid(i *inode, permissions uint32) unix.Errno {
	v := c.visible(i)
	mode := v.Mode&^0o777 | permissions
	to, e := perm.Chmod(c.identity().Credentials, v, mode)
	if e != 0 || to == mode {
		return e
	}
	return c.changeMode(i, to)
}

// removalDropsSetgid reports whether the file system of the inode treats the removal of an
// ACL as a change of permissions.
func removalDropsSetgid(i *inode) bool {
	kind := sys.FileSystem(i.fd)
	return kind == unix.TMPFS_MAGIC || kind == unix.OVERLAYFS_SUPER_MAGIC
}

// inheritACL returns the ACLs to record for a new inode of that mode in a directory with
// the record parent. The new inode has inherited the kernel's part of them already.
func inheritACL(parent *owner.Record, mode uint32) (access, inherited []byte) {
	switch mode & unix.S_IFMT {
	case unix.S_IFLNK:
		return nil, nil
	case unix.S_IFDIR:
		return parent.Default, parent.Default
	}
	return parent.Default, nil
}
