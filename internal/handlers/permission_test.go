package handlers

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/owner"
)

// The kernel executes what it does right, for root without a look at the file.
func TestKernelDecides(t *testing.T) {
	c := newCaller(t)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	value := granting(0).Append(nil)
	for _, tt := range []struct {
		name string
		h    Handler
		args []any
	}{
		{"chmod", Chmod, []any{8, 0o600}},
		{"fchmod", Fchmod, []any{-1, 0o600}},
		{"utimensat", Utimensat(Timespec), []any{-1, 8, 8, 0}},
		{"setxattr", Setxattr, []any{8, "user.a", 8, 1, 0}},
		{"removexattr", Removexattr, []any{8, "user.a"}},
		{"setxattr of a mapped ACL", Setxattr, []any{path, aclAccess, value, len(value), 0}},
		{"setxattr of no ACL", Setxattr, []any{path, aclAccess, value[:7], 7, 0}},
		{"getxattr of no ACL", Getxattr, []any{path, aclAccess, 0, 0}},
		{"removexattr of no ACL", Removexattr, []any{path, aclAccess}},
	} {
		if got := c.do(tt.h, tt.args...); got != Continue {
			t.Errorf("%s: %+v, want it left to the kernel", tt.name, got)
		}
	}
}

// Other users change what they may, and the change affects the file itself.
func TestChangeAsOtherUser(t *testing.T) {
	c := newCaller(t)
	mine, other := c.newFile(owner.ID{UID: foreignID, GID: 7}), c.newFile(owner.ID{UID: 42, GID: 43})
	s := identity.Root()
	s.UID = cred.IDs{Real: foreignID, Effective: foreignID, Saved: foreignID, FS: foreignID}
	s.GID = s.UID
	s.Effective, s.Permitted = 0, 0
	if e := c.call.become(&s); e != 0 {
		t.Fatal(e)
	}
	value := granting(foreignID).Append(nil)
	for _, tt := range []struct {
		name string
		h    Handler
		args func(path string) []any
	}{
		{"chmod", Chmod, func(path string) []any { return []any{path, 0o2640} }},
		{"chown", Chown, func(path string) []any { return []any{path, -1, foreignID} }},
		{"utimes", Utime(Timeval), func(path string) []any { return []any{path, make([]byte, 32)} }},
		{"setxattr", Setxattr, func(path string) []any { return []any{path, aclAccess, value, len(value), 0} }},
	} {
		if got := c.do(tt.h, tt.args(mine)...); got != Return(0) {
			t.Errorf("%s of the own file: %+v", tt.name, got)
		}
		if got := c.do(tt.h, tt.args(other)...); got != Errno(unix.EPERM) {
			t.Errorf("%s of another's file: %+v, want EPERM", tt.name, got)
		}
	}
	var st unix.Stat_t
	if err := unix.Stat(mine, &st); err != nil {
		t.Fatal(err)
	}
	// The group was 7 when the mode was set: no S_ISGID.
	if st.Mode&0o7777 != 0o674 || st.Mtim.Sec != 0 {
		t.Errorf("mode %o, mtime %d", st.Mode, st.Mtim.Sec)
	}
}
