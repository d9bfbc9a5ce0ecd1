package cred

import "golang.org/x/sys/unix"

// Access are the credentials by which access(2) and faccessat(2) look at files.
//
// access(2): "The check is done using the calling process's real UID and GID, rather than the
// effective IDs". "If the calling process is [...] a root user, [...] the check uses" its
// permitted capabilities, otherwise none: unless SECBIT_NO_SETUID_FIXUP is set, which leaves
// the effective ones.
func (c Credentials) Access() Credentials {
	c.UID.FS, c.GID.FS = c.UID.Real, c.GID.Real
	if c.Securebits&SecbitNoSetuidFixup == 0 {
		if c.UID.Real == 0 {
			c.Effective = c.Permitted
		} else {
			c.Effective = 0
		}
	}
	return c
}

// reachCaps are the capabilities without which files may be out of one's reach.
const reachCaps Caps = 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FOWNER

// ReachesAll tells whether the permissions of files do not restrict c.
func (c *Credentials) ReachesAll() bool { return c.Effective&reachCaps == reachCaps }
