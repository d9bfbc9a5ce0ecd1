package perm

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/cred"
)

// Lease reports whether the caller may take and release leases on the inode. If not,
// fcntl(2) fails with EACCES.
//
// fcntl(2), F_SETLEASE: "An unprivileged process may take out a lease only on a file whose
// UID (owner) matches the filesystem UID of the process. A process with the CAP_LEASE
// capability may take out leases on arbitrary files."
func Lease(c cred.Credentials, i Inode) bool {
	return c.UID.FS == i.UID || c.CapableInContainer(unix.CAP_LEASE)
}
