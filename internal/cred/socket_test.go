package cred_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
)

// The sentences of unix(7) that MaySend quotes. The program credentials.c compares them with the
// kernel.
func TestMaySend(t *testing.T) {
	ids := cred.IDs{Real: 1, Effective: 2, Saved: 3, FS: 4}
	for _, tt := range []struct {
		what     string
		caps     cred.Caps
		other    bool // another process id
		uid, gid uint32
		want     unix.Errno
	}{
		{what: "real ids", uid: 1, gid: 1},
		{what: "effective ids", uid: 2, gid: 2},
		{what: "saved ids", uid: 3, gid: 3},
		{what: "a mixture", uid: 1, gid: 3},
		{what: "file system uid", uid: 4, gid: 1, want: unix.EPERM},
		{what: "file system gid", uid: 1, gid: 4, want: unix.EPERM},
		{what: "root", want: unix.EPERM},
		{what: "another user with CAP_SETUID", caps: 1 << unix.CAP_SETUID, uid: 9, gid: 1},
		{what: "another group with CAP_SETUID", caps: 1 << unix.CAP_SETUID, uid: 1, gid: 9, want: unix.EPERM},
		{what: "another group with CAP_SETGID", caps: 1 << unix.CAP_SETGID, uid: 1, gid: 9},
		{what: "another user with CAP_SETGID", caps: 1 << unix.CAP_SETGID, uid: 9, gid: 1, want: unix.EPERM},
		{what: "another process", other: true, uid: 1, gid: 1, want: unix.EPERM},
		{what: "another process with CAP_SYS_ADMIN", caps: 1 << unix.CAP_SYS_ADMIN, other: true, uid: 1, gid: 1},
		{what: "another user with CAP_SYS_ADMIN", caps: 1 << unix.CAP_SYS_ADMIN, uid: 9, gid: 1, want: unix.EPERM},
		{what: "no user", caps: cred.AllCaps, uid: ^uint32(0), gid: 1, want: unix.EINVAL},
		{what: "no group, of another process", other: true, uid: 1, gid: ^uint32(0), want: unix.EINVAL},
	} {
		c := cred.Credentials{UID: ids, GID: ids, Effective: tt.caps}
		if got := cred.MaySend(c, !tt.other, tt.uid, tt.gid); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.what, got, tt.want)
		}
	}
}
