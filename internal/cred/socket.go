package cred

import "golang.org/x/sys/unix"

// MaySend returns 0 if a thread with the credentials c may send a message with credentials that
// it names: an SCM_CREDENTIALS control message with a user and a group id, and the process id of
// the sender if own is true, or of another process. Otherwise it returns the error of sendmsg(2).
//
// unix(7): "The sender must specify its own process ID (unless it has the capability
// CAP_SYS_ADMIN, in which case the PID of any existing process may be specified), its real user
// ID, effective user ID, or saved set-user-ID (unless it has CAP_SETUID), and its real group ID,
// effective group ID, or saved set-group-ID (unless it has CAP_SETGID)."
func MaySend(c Credentials, own bool, uid, gid uint32) unix.Errno {
	if uid == invalid || gid == invalid {
		return unix.EINVAL
	}
	if (own || c.Capable(unix.CAP_SYS_ADMIN)) && (c.UID.contains(uid) || c.Capable(unix.CAP_SETUID)) &&
		(c.GID.contains(gid) || c.Capable(unix.CAP_SETGID)) {
		return 0
	}
	return unix.EPERM
}
