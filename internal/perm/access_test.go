package perm_test

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/rootless-containers/subuidless/internal/acl"
	"github.com/rootless-containers/subuidless/internal/credtest"
	"github.com/rootless-containers/subuidless/internal/perm"
)

// accessACL draws an access ACL, or nil.
func accessACL(t *rapid.T) acl.ACL {
	bits := rapid.Uint16Range(0, 7)
	named := func(tag acl.Tag, name string) acl.ACL {
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) acl.Entry {
			return acl.Entry{Tag: tag, Perm: bits.Draw(t, "perm"), ID: credtest.ID().Draw(t, "id")}
		}), 0, 3).Draw(t, name)
	}
	if !rapid.Bool().Draw(t, "an ACL") {
		return nil
	}
	a := acl.ACL{{Tag: acl.UserObj, Perm: bits.Draw(t, "owner"), ID: acl.NoID}}
	a = append(a, named(acl.User, "users")...)
	a = append(a, acl.Entry{Tag: acl.GroupObj, Perm: bits.Draw(t, "group"), ID: acl.NoID})
	a = append(a, named(acl.Group, "groups")...)
	return append(a, acl.Entry{Tag: acl.Mask, Perm: bits.Draw(t, "mask"), ID: acl.NoID},
		acl.Entry{Tag: acl.Other, Perm: bits.Draw(t, "other"), ID: acl.NoID})
}

func TestAccessKernel(t *testing.T) {
	check(t, func(t *rapid.T, dir string) {
		c, i, path := thread(t), inode(t, "inode", unix.S_IFREG, unix.S_IFDIR), filepath.Join(dir, "inode")
		put(t, path, i)
		a := accessACL(t)
		if a != nil {
			ok(t, unix.Setxattr(path, "system.posix_acl_access", a.Append(nil), 0))
			i.Mode = i.Mode&^0o777 | a.Mode()
		}
		want := rapid.Uint32Range(1, 7).Draw(t, "want")
		got := as(t, c, func() error { return unix.Faccessat2(unix.AT_FDCWD, path, want, unix.AT_EACCESS) })
		expect(t, path, got, perm.Access(c, i, a, want), i)
	})
}
