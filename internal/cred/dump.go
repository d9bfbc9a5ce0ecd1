package cred

// Undumps reports whether a process loses its dumpable attribute when its credentials change
// from c to the given ones.
//
// prctl(2), PR_SET_DUMPABLE: the attribute is reset "to the value contained in the file
// /proc/sys/fs/suid_dumpable" when "the process's effective user or group ID is changed",
// "the process's filesystem user or group ID is changed", or "the process executes [...]
// a program" that is set-user-ID, set-group-ID or has file capabilities, by which it
// gains some.
func (c Credentials) Undumps(to Credentials) bool {
	return c.UID.Effective != to.UID.Effective || c.UID.FS != to.UID.FS ||
		c.GID.Effective != to.GID.Effective || c.GID.FS != to.GID.FS ||
		!to.Permitted.subsetOf(c.Permitted)
}

// UndumpsByExec is Undumps for a change by execve(2). Then it is enough that the effective
// ids of c differ from its real ones.
func (c Credentials) UndumpsByExec(to Credentials) bool {
	return c.UID.Effective != c.UID.Real || c.GID.Effective != c.GID.Real || c.Undumps(to)
}
