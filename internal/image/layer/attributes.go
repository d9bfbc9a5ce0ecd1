package layer

import (
	"archive/tar"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/acl"
	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/owner"
	"github.com/rootless-containers/subuidless/internal/sys"
)

// The keys of extended attributes and ACLs in pax headers, of star(1) and GNU tar.
const (
	paxXattr      = "SCHILY.xattr."
	paxAccessACL  = "SCHILY.acl.access"
	paxDefaultACL = "SCHILY.acl.default"
)

const (
	accessACL  = "system.posix_acl_access"
	defaultACL = "system.posix_acl_default"
)

// acls are the ACLs of an entry, by the names of their attributes.
type acls map[string]acl.ACL

// aclsOf returns the ACLs of the entry h.
func aclsOf(h *tar.Header) (acls, error) {
	var all acls
	for key, value := range h.PAXRecords {
		name, text := "", false
		switch key {
		case paxAccessACL:
			name, text = accessACL, true
		case paxDefaultACL:
			name, text = defaultACL, true
		case paxXattr + accessACL, paxXattr + defaultACL:
			name = strings.TrimPrefix(key, paxXattr)
		default:
			continue
		}
		if name == defaultACL && h.Typeflag != tar.TypeDir || value == "" {
			continue
		}
		var a acl.ACL
		e := unix.EINVAL
		if text {
			a, e = parseACLText(value)
		} else {
			a, e = acl.Parse([]byte(value))
		}
		if e != 0 {
			return nil, fmt.Errorf("its ACL (%s) is not valid: %w", key, e)
		}
		if all == nil {
			all = acls{}
		}
		all[name] = a
	}
	return all, nil
}

// parseACLText parses the text form of acl(5), with numeric ids in a fourth field as in
// star(1), or in the place of names.
func parseACLText(text string) (acl.ACL, unix.Errno) {
	var a acl.ACL
	for entry := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' }) {
		entry, _, _ = strings.Cut(entry, "#")
		fields := strings.Split(strings.TrimSpace(entry), ":")
		if len(fields) < 3 {
			return nil, unix.EINVAL
		}
		e := acl.Entry{ID: acl.NoID}
		named := fields[1] != ""
		switch fields[0] {
		case "user", "u":
			e.Tag = acl.UserObj
			if named {
				e.Tag = acl.User
			}
		case "group", "g":
			e.Tag = acl.GroupObj
			if named {
				e.Tag = acl.Group
			}
		case "mask", "m":
			e.Tag, named = acl.Mask, false
		case "other", "o":
			e.Tag, named = acl.Other, false
		default:
			return nil, unix.EINVAL
		}
		if named {
			id, err := strconv.ParseUint(fields[len(fields)-1], 10, 32)
			if len(fields) < 4 {
				id, err = strconv.ParseUint(fields[1], 10, 32)
			}
			if err != nil || uint32(id) == acl.NoID {
				return nil, unix.EINVAL
			}
			e.ID = uint32(id)
		}
		for i, c := range fields[2] {
			bit := strings.IndexRune("rwx", c)
			switch {
			case c == '-' && i < 3:
			case bit >= 0:
				e.Perm |= 4 >> bit
			default:
				return nil, unix.EINVAL
			}
		}
		a = append(a, e)
	}
	slices.SortStableFunc(a, func(x, y acl.Entry) int { return int(x.Tag) - int(y.Tag) })
	if !a.Valid() {
		return nil, unix.EINVAL
	}
	return a, 0
}

// foreign reports whether a names an id that is not mapped: the kernel does not store it then.
func foreign(a acl.ACL) bool {
	return slices.ContainsFunc(a, func(e acl.Entry) bool {
		return (e.Tag == acl.User || e.Tag == acl.Group) && e.ID != 0
	})
}

// record adds the ACLs that the kernel does not store to r.
func (all acls) record(r *owner.Record) {
	for name, a := range all {
		if !foreign(a) {
			continue
		}
		if name == accessACL {
			r.Access = a.Append(nil)
		} else {
			r.Default = a.Append(nil)
		}
	}
}

// set gives the file that fd refers to the ACLs; if recorded, as far as the kernel stores them.
func (all acls) set(fd int, recorded bool) error {
	for name, a := range all {
		if recorded && foreign(a) {
			a = a.Unnamed()
		}
		if err := unix.Fsetxattr(fd, name, a.Append(nil), 0); err != nil {
			return fmt.Errorf("setting its ACL: %w", err)
		}
	}
	return nil
}

// xattrsOf returns the extended attributes of the entry h, except for ACLs.
func xattrsOf(h *tar.Header) map[string]string {
	var all map[string]string
	for key, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(key, paxXattr)
		if !ok || name == accessACL || name == defaultACL {
			continue
		}
		if all == nil {
			all = map[string]string{}
		}
		all[name] = value
	}
	return all
}

// warnOfXattrs reports that the extended attributes of h are not kept.
func (u *Unpacker) warnOfXattrs(h *tar.Header) {
	for _, name := range slices.Sorted(maps.Keys(xattrsOf(h))) {
		u.Warn(fmt.Sprintf("%s: its attribute %s is not kept: only files and directories can have one", h.Name, name))
	}
}

// setXattrs sets the extended attributes of the object that fd refers to.
func (u *Unpacker) setXattrs(h *tar.Header, fd int, kind uint32) error {
	if kind != unix.S_IFREG && kind != unix.S_IFDIR {
		u.warnOfXattrs(h)
		return nil
	}
	all := xattrsOf(h)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		value := []byte(all[name])
		if isStoredName(name) {
			u.Warn(fmt.Sprintf("%s: its attribute %s is not kept: the name is reserved", h.Name, name))
			continue
		}
		if err := u.setXattr(fd, name, value); err != nil {
			return fmt.Errorf("setting its attribute %s: %w", name, err)
		}
	}
	return nil
}

// setXattr sets an extended attribute as package handlers does for a program of a container.
func (u *Unpacker) setXattr(fd int, name string, value []byte) error {
	stored := owner.Xattr + "." + name
	switch {
	case u.Owners == nil:
		return unix.Fsetxattr(fd, name, value, 0)
	case name == owner.CapabilityXattr:
		caps, e := cred.ParseFileCaps(value)
		if e != 0 {
			return e
		}
		if caps.RootID == 0 {
			return unix.Fsetxattr(fd, name, caps.Append(nil), 0)
		}
		if err := unix.Fsetxattr(fd, name, owner.RootIDMark, 0); err != nil {
			return err
		}
		return unix.Fsetxattr(fd, stored, value, 0)
	case strings.HasPrefix(name, "trusted."):
		return unix.Fsetxattr(fd, stored, value, 0)
	case strings.HasPrefix(name, "security."):
		err := unix.Fsetxattr(fd, name, value, 0)
		if err != unix.EPERM {
			return err
		}
		u.Owners.NoteSecurity()
		return unix.Fsetxattr(fd, stored, value, 0)
	}
	return unix.Fsetxattr(fd, name, value, 0)
}

// fchmod is fchmod(2), also for O_PATH descriptors of special files.
func fchmod(fd int, mode, kind uint32) error {
	if kind == unix.S_IFREG || kind == unix.S_IFDIR {
		return unix.Fchmod(fd, mode)
	}
	if e := sys.FchmodOPath(fd, mode); e != 0 {
		return e
	}
	return nil
}

// setTimesOf sets the times of the object that fd refers to, also for O_PATH descriptors.
func setTimesOf(fd int, access, modification time.Time) error {
	times := [2]unix.Timespec{timespec(access), timespec(modification)}
	if e := sys.FutimensOPath(fd, &times); e != 0 {
		return fmt.Errorf("setting its times: %w", e)
	}
	return nil
}

func timespec(t time.Time) unix.Timespec {
	return unix.Timespec{Sec: t.Unix(), Nsec: int64(t.Nanosecond())}
}
