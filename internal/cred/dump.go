package cred

// Undumps reports whether a process whose credentials change from c to to loses its
// dumpable attribute.
//
// prctl(2), PR_SET_DUMPABLE: the attribute is reset "to the value contained in the file
// /proc/sys/fs/suid_dumpable" when "the process's effective user or group ID is changed", "the
// process's filesystem user or group ID is changed", or "the process executes [...] a program"
// that is set-user-ID, set-group-ID or has file capabilities, by which it gains some.
func (c Credentials) Undumps(to Credentials) bool {
	return c.UID.Effective != to.UID.Effective || c.UID.FS != to.UID.FS ||
		c.GID.Effective != to.GID.Effective || c.GID.FS != to.GID.FS ||
		!to.Permitted.subsetOf(c.Permitted)
}

// UndumpsByExec reports whether a process with the credentials c is not dumpable after an
// execve(2) that changes them to to. Unlike for Undumps, it is enough that its effective ids
// differ from its real ones before.
func (c Credentials) UndumpsByExec(to Credentials) bool {
	return c.UID.Effective != c.UID.Real || c.GID.Effective != c.GID.Real || c.Undumps(to)
}
