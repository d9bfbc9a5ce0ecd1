package cred

import "golang.org/x/sys/unix"

// invalid is the id -1, which no user or group has.
const invalid = ^uint32(0)

// Setuid implements setuid(2). The error is EPERM or EINVAL.
func (c Credentials) Setuid(uid uint32) (Credentials, unix.Errno) {
	ids, e := c.UID.set(uid, c.Capable(unix.CAP_SETUID))
	return c.changeUID(ids), e
}

// Setgid implements setgid(2). The error is EPERM or EINVAL.
func (c Credentials) Setgid(gid uint32) (Credentials, unix.Errno) {
	ids, e := c.GID.set(gid, c.Capable(unix.CAP_SETGID))
	c.GID = ids
	return c, e
}

// Setreuid implements setreuid(2). The error is EPERM.
func (c Credentials) Setreuid(ruid, euid uint32) (Credentials, unix.Errno) {
	ids, e := c.UID.setre(ruid, euid, c.Capable(unix.CAP_SETUID))
	return c.changeUID(ids), e
}

// Setregid implements setregid(2). The error is EPERM.
func (c Credentials) Setregid(rgid, egid uint32) (Credentials, unix.Errno) {
	ids, e := c.GID.setre(rgid, egid, c.Capable(unix.CAP_SETGID))
	c.GID = ids
	return c, e
}

// Setresuid implements setresuid(2). The error is EPERM.
func (c Credentials) Setresuid(ruid, euid, suid uint32) (Credentials, unix.Errno) {
	ids, e := c.UID.setres(ruid, euid, suid, c.Capable(unix.CAP_SETUID))
	return c.changeUID(ids), e
}

// Setresgid implements setresgid(2). The error is EPERM.
func (c Credentials) Setresgid(rgid, egid, sgid uint32) (Credentials, unix.Errno) {
	ids, e := c.GID.setres(rgid, egid, sgid, c.Capable(unix.CAP_SETGID))
	c.GID = ids
	return c, e
}

// Setfsuid implements setfsuid(2). It also returns that call's result.
//
// "On both success and failure, this call returns the previous filesystem user ID
// of the caller."
func (c Credentials) Setfsuid(fsuid uint32) (Credentials, uint32) {
	old := c.UID.FS
	c.UID = c.UID.setfs(fsuid, c.Capable(unix.CAP_SETUID))
	return c.adjustFSCaps(old), old
}

// Setfsgid implements setfsgid(2). It also returns that call's result, the previous id.
func (c Credentials) Setfsgid(fsgid uint32) (Credentials, uint32) {
	old := c.GID.FS
	c.GID = c.GID.setfs(fsgid, c.Capable(unix.CAP_SETGID))
	return c, old
}

// contains reports whether id is the real, effective or saved id.
func (ids IDs) contains(id uint32) bool {
	return id == ids.Real || id == ids.Effective || id == ids.Saved
}

// set implements setuid(2) and setgid(2). Privileged says that the thread has CAP_SETUID or
// CAP_SETGID, here and below.
func (ids IDs) set(id uint32, privileged bool) (IDs, unix.Errno) {
	switch {
	case id == invalid:
		return ids, unix.EINVAL
	case privileged:
		// setuid(2): "If the calling process is privileged [...], the real UID and
		// saved set-user-ID are also set."
		return IDs{id, id, id, id}, 0
	case id == ids.Real || id == ids.Saved:
		// "setuid() sets the effective user ID of the calling process." "The setuid()
		// call also sets the filesystem user ID of the calling process."
		ids.Effective, ids.FS = id, id
		return ids, 0
	}
	return ids, unix.EPERM
}

// setre implements setreuid(2) and setregid(2).
func (ids IDs) setre(real, effective uint32, privileged bool) (IDs, unix.Errno) {
	to := ids
	// setreuid(2): "Unprivileged users may only set the real user ID to the real user
	// ID or the effective user ID."
	if real != invalid {
		if !privileged && real != ids.Real && real != ids.Effective {
			return ids, unix.EPERM
		}
		to.Real = real
	}
	// "Unprivileged processes may only set the effective user ID to the real user ID,
	// the effective user ID, or the saved set-user-ID."
	if effective != invalid {
		if !privileged && !ids.contains(effective) {
			return ids, unix.EPERM
		}
		to.Effective = effective
	}
	// "If the real user ID is set (i.e., ruid is not -1) or the effective user ID is
	// set to a value not equal to the previous real user ID, the saved set-user-ID
	// will be set to the new effective user ID."
	if real != invalid || (effective != invalid && effective != ids.Real) {
		to.Saved = to.Effective
	}
	to.FS = to.Effective
	return to, 0
}

// setres implements setresuid(2) and setresgid(2).
func (ids IDs) setres(real, effective, saved uint32, privileged bool) (IDs, unix.Errno) {
	// A call that changes nothing leaves the file system id alone, in spite of "the
	// filesystem UID is always set to the same value as the (possibly new) effective UID".
	if (real == invalid || real == ids.Real) && (saved == invalid || saved == ids.Saved) &&
		(effective == invalid || effective == ids.Effective && effective == ids.FS) {
		return ids, 0
	}
	to := ids
	// setresuid(2): "An unprivileged process may change its real UID, effective UID, and
	// saved set-user-ID, each to one of: the current real UID, the current effective
	// UID, or the current saved set-user-ID." "If one of the arguments equals -1, the
	// corresponding value is not changed."
	for _, change := range [...]struct {
		to   *uint32
		from uint32
	}{{&to.Real, real}, {&to.Effective, effective}, {&to.Saved, saved}} {
		if change.from == invalid {
			continue
		}
		if !privileged && !ids.contains(change.from) {
			return ids, unix.EPERM
		}
		*change.to = change.from
	}
	to.FS = to.Effective
	return to, 0
}

// setfs implements setfsuid(2) and setfsgid(2).
//
// setfsuid(2): "setfsuid() will succeed only if the caller is the superuser or if
// fsuid matches either the caller's real user ID, effective user ID, saved
// set-user-ID, or current filesystem user ID."
func (ids IDs) setfs(id uint32, privileged bool) IDs {
	if id != invalid && (privileged || ids.contains(id)) {
		ids.FS = id
	}
	return ids
}

// changeUID returns c with the user ids to, and with the capabilities that follow from the
// change: see "Effect of user ID changes on capabilities" in capabilities(7).
func (c Credentials) changeUID(to IDs) Credentials {
	from := c.UID
	c.UID = to
	if c.Securebits&SecbitNoSetuidFixup != 0 {
		return c
	}
	// "If one or more of the real, effective, or saved set user IDs was previously 0,
	// and as a result of the UID changes all of these IDs have a nonzero value, then
	// all capabilities are cleared from the permitted, effective, and ambient
	// capability sets." With SECBIT_KEEP_CAPS, only from the ambient set.
	root := c.Namespace.root()
	if from.contains(root) && !to.contains(root) {
		if c.Securebits&SecbitKeepCaps == 0 {
			c.Permitted, c.Effective = 0, 0
		}
		c.Ambient = 0
	}
	// "If the effective user ID is changed from 0 to nonzero, then all capabilities are
	// cleared from the effective set."
	if from.Effective == root && to.Effective != root {
		c.Effective = 0
	}
	// "If the effective user ID is changed from nonzero to 0, then the permitted set is
	// copied to the effective set."
	if from.Effective != root && to.Effective == root {
		c.Effective = c.Permitted
	}
	return c
}

// adjustFSCaps returns c with the capabilities that follow from a change of the file system
// user id by setfsuid(2). Old is the previous id.
func (c Credentials) adjustFSCaps(old uint32) Credentials {
	if c.Securebits&SecbitNoSetuidFixup != 0 {
		return c
	}
	// "If the filesystem user ID is changed from 0 to nonzero (see setfsuid(2)), then
	// the following capabilities are cleared from the effective set: [...]. If the
	// filesystem UID is changed from nonzero to 0, then any of these capabilities that
	// are enabled in the permitted set are enabled in the effective set."
	switch root := c.Namespace.root(); {
	case old == root && c.UID.FS != root:
		c.Effective &^= fsCaps
	case old != root && c.UID.FS == root:
		c.Effective |= c.Permitted & fsCaps
	}
	return c
}
