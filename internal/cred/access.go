package cred

import "golang.org/x/sys/unix"

// Access returns the credentials that access(2) and faccessat(2) check files with.
//
// access(2): "The check is done using the calling process's real UID and GID, rather than
// the effective IDs". "If the calling process is [...] a root user, [...] the check uses"
// its permitted capabilities, otherwise none. With SECBIT_NO_SETUID_FIXUP it uses the
// effective ones.
func (c Credentials) Access() Credentials {
	c.UID.FS, c.GID.FS = c.UID.Real, c.GID.Real
	if c.Securebits&SecbitNoSetuidFixup == 0 {
		if c.UID.Real == c.Namespace.root() {
			c.Effective = c.Permitted
		} else {
			c.Effective = 0
		}
	}
	return c
}

// bypassCaps has the capabilities that bypass all permission checks on files.
const bypassCaps Caps = 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FOWNER

// ReachesAll reports whether c has the capabilities to bypass file permission checks for every
// file. A thread that does not is a restricted caller.
func (c *Credentials) ReachesAll() bool {
	return c.Effective&bypassCaps == bypassCaps && c.Namespace == nil
}
