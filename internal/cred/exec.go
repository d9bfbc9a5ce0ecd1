package cred

import "golang.org/x/sys/unix"

// ExecFile has the properties of a program, and of the thread that executes it, that
// execve(2) uses besides the credentials. For a script they are those of the interpreter.
type ExecFile struct {
	// UID, GID and Mode are the owner and the mode of the file.
	UID, GID, Mode uint32

	// Caps has the file's capabilities, nil if it has none. If the attribute is malformed,
	// do not call Exec: execve(2) fails with EINVAL.
	Caps *FileCaps

	// Unreadable says that the thread has no read permission on the file. Exec does not use
	// it, but the process is not dumpable then: proc_sys_fs(5), suid_dumpable, "or whose
	// binary does not have read permission enabled".
	Unreadable bool

	// NoSuid says that "the underlying filesystem is mounted nosuid".
	NoSuid bool

	// NoNewPrivs is the thread's no_new_privs attribute.
	NoNewPrivs bool

	// Traced says that another process could interfere: "the calling process is being
	// ptraced" by a tracer without CAP_SYS_PTRACE, or shares its file system attributes
	// (CLONE_FS) with a process that does not execute the program.
	Traced bool
}

// Exec implements the change of credentials by execve(2). Secure reports whether the
// program starts in secure-execution mode (getauxval(3), AT_SECURE). The error is EPERM.
//
// Before Linux 6.16 the kernel compares the new ids with the real ones, instead of the
// effective ones, to decide what "changed" means here.
func (c Credentials) Exec(f ExecFile) (to Credentials, secure bool, e unix.Errno) {
	old := c

	// execve(2): "If the set-user-ID bit is set on the program file referred to by
	// pathname, then the effective user ID of the calling process is changed to that of
	// the owner of the program file." "The aforementioned transformations of the
	// effective IDs are not performed (i.e., the set-user-ID and set-group-ID bits are
	// ignored) if [...] the no_new_privs attribute is set for the calling thread [...],
	// the underlying filesystem is mounted nosuid [...]".
	// The bits of a file whose owner is not mapped in the user namespace count as little.
	root := c.Namespace.root()
	if !f.NoSuid && !f.NoNewPrivs && c.Namespace.Maps(f.UID, f.GID) {
		if f.Mode&unix.S_ISUID != 0 {
			c.UID.Effective = f.UID
		}
		// inode(7): "For a file that does not have the group execution bit (S_IXGRP) set,
		// the set-group-ID bit indicates mandatory file/record locking."
		if f.Mode&(unix.S_ISGID|unix.S_IXGRP) == unix.S_ISGID|unix.S_IXGRP {
			c.GID.Effective = f.GID
		}
	}

	// "Note: during the capability transitions described above, file capabilities may be
	// ignored (treated as empty) for the same reasons" - except no_new_privs, which only
	// takes back what is gained.
	var file FileCaps
	hasCaps := f.Caps != nil && !f.NoSuid && c.Namespace.HasRoot(f.Caps.RootID)
	if hasCaps {
		file = *f.Caps
		file.Permitted &= AllCaps
		file.Inheritable &= AllCaps
	}
	// P'(permitted) = (P(inheritable) & F(inheritable)) | (F(permitted) & P(bounding)) | P'(ambient)
	c.Permitted = c.Inheritable&file.Inheritable | file.Permitted&c.Bounding
	// "If the process did not obtain the full set of file permitted capabilities, then
	// execve(2) fails with the error EPERM", "which has the effective capability bit set".
	if file.Effective && !file.Permitted.subsetOf(c.Permitted) {
		return old, false, unix.EPERM
	}
	// "The file capability bits are honored (i.e., they are not notionally considered to
	// be all ones)" if "(a) the binary that is being executed has capabilities attached and
	// (b) the real user ID of the process is not 0 (root) and (c) the effective user ID of
	// the process is 0 (root)".
	rootRules := c.Securebits&SecbitNoRoot == 0 && !(hasCaps && c.UID.Real != root && c.UID.Effective == root)
	if rootRules {
		// "If the real or effective user ID of the process is 0 (root), then the file
		// inheritable and permitted sets are [...] considered to be all ones".
		if c.UID.Real == root || c.UID.Effective == root {
			c.Permitted = c.Bounding | c.Inheritable
		}
		// "If the effective user ID of the process is 0 (root) [...], then the file
		// effective bit is notionally defined to be one".
		if c.UID.Effective == root {
			file.Effective = true
		}
	}

	changed := c.UID.Effective != old.UID.Effective || !old.InGroup(c.GID.Effective)
	gained := !c.Permitted.subsetOf(old.Permitted)
	if (changed || gained) && (f.NoNewPrivs || f.Traced) {
		// prctl(2), PR_SET_NO_NEW_PRIVS: "execve(2) promises not to grant privileges to do
		// anything that could not have been done without the execve(2) call".
		if f.NoNewPrivs || !old.Capable(unix.CAP_SETUID) {
			c.UID.Effective, c.GID.Effective = c.UID.Real, c.GID.Real
		}
		c.Permitted &= old.Permitted
	}

	// "The effective user ID of the process is copied to the saved set-user-ID; similarly,
	// the effective group ID is copied to the saved set-group-ID. This copying takes place
	// after any effective ID changes that occur because of the set-user-ID and set-group-ID
	// mode bits."
	c.UID.Saved, c.UID.FS = c.UID.Effective, c.UID.Effective
	c.GID.Saved, c.GID.FS = c.GID.Effective, c.GID.Effective

	// P'(ambient) = (file is privileged) ? 0 : P(ambient), where "a privileged file is one
	// that has capabilities or has the set-user-ID or set-group-ID bit set" and by it
	// changes an id.
	if hasCaps || changed {
		c.Ambient = 0
	}
	c.Permitted |= c.Ambient
	// P'(effective) = F(effective) ? P'(permitted) : P'(ambient)
	c.Effective = c.Ambient
	if file.Effective {
		c.Effective = c.Permitted
	}
	// "all of the flags are preserved, except SECBIT_KEEP_CAPS which is always cleared."
	c.Securebits &^= SecbitKeepCaps

	// ld.so(8), secure-execution mode: "The process's real and effective user IDs differ,
	// or the real and effective group IDs differ." "A process with a non-root user ID
	// executed a binary that conferred capabilities to the process."
	secure = changed || c.UID.Effective != c.UID.Real || c.GID.Effective != c.GID.Real ||
		c.UID.Real != root && (file.Effective || c.Permitted != c.Ambient)
	return c, secure, 0
}
