package handlers

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/acl"
	"github.com/rootless-containers/subuidless/internal/owner"
)

const (
	aclAccess = "system.posix_acl_access"
	foreignID = 1000 // an id that is not mapped
)

// granting returns an ACL that names the id.
func granting(id uint32) acl.ACL {
	return acl.ACL{{Tag: acl.UserObj, Perm: 6, ID: acl.NoID}, {Tag: acl.User, Perm: 7, ID: id}, {Tag: acl.GroupObj, Perm: 4, ID: acl.NoID},
		{Tag: acl.Mask, Perm: 7, ID: acl.NoID}, {Tag: acl.Other, Perm: 4, ID: acl.NoID}}
}

func kernelsACL(t *testing.T, path string) acl.ACL {
	t.Helper()
	b := make([]byte, 256)
	n, err := unix.Getxattr(path, aclAccess, b)
	if err == unix.ENODATA {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	a, e := acl.Parse(b[:n])
	if e != 0 {
		t.Fatal(e)
	}
	return a
}

// The kernel stores an ACL without its named entries, the record stores all of it.
func TestUnmappedACL(t *testing.T) {
	c := newCaller(t)
	path := c.newFile(owner.ID{UID: 42, GID: 43})
	a := granting(foreignID)
	value := a.Append(nil)
	if got := c.do(Setxattr, path, aclAccess, value, len(value), 0); got != Return(0) {
		t.Fatalf("setxattr: %+v", got)
	}
	if diff := cmp.Diff(a.Unnamed(), kernelsACL(t, path)); diff != "" {
		t.Errorf("kernel's ACL (-want +got):\n%s", diff)
	}
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 256)
	got := c.do(Getxattr, path, aclAccess, b, len(b))
	if diff := cmp.Diff(string(a.Chmod(0o604).Append(nil)), string(b[:got.Val])); diff != "" {
		t.Errorf("getxattr after chmod: %+v (-want +got):\n%s", got, diff)
	}
	for _, tt := range []struct {
		name string
		buf  any
		size int
		want Result
	}{
		{"query of the size", 0, 0, Return(len(value))},
		{"exact", b, len(value), Return(len(value))},
		{"one too small", b, len(value) - 1, Errno(unix.ERANGE)},
		{"bad address", 8, 64, Errno(unix.EFAULT)},
	} {
		if got := c.do(Getxattr, path, aclAccess, tt.buf, tt.size); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}

	// An ACL that the kernel can store replaces both.
	mapped := granting(0)
	value = mapped.Append(nil)
	if got := c.do(Setxattr, path, aclAccess, value, len(value), 0); got != Return(0) {
		t.Fatalf("setxattr: %+v", got)
	}
	if diff := cmp.Diff(mapped, kernelsACL(t, path)); diff != "" {
		t.Errorf("kernel's ACL (-want +got):\n%s", diff)
	}
	if got := c.do(Getxattr, path, aclAccess, b, len(b)); got != Continue {
		t.Errorf("getxattr: %+v, want the kernel's answer", got)
	}

	// Removing an ACL succeeds, also if there is none.
	for range 2 {
		if got := c.do(Removexattr, path, aclAccess); got != Errno(0) {
			t.Errorf("removexattr: %+v", got)
		}
		if got := kernelsACL(t, path); got != nil {
			t.Errorf("the kernel's ACL is %+v", got)
		}
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if id, ok := c.call.Owners.Get(fd, unix.S_IFREG); !ok || id != (owner.ID{UID: 42, GID: 43}) {
		t.Errorf("the owner is %+v, %t", id, ok)
	}
}
