package cred

import "golang.org/x/sys/unix"

// Caps is a set of capabilities. Bit n stands for the capability n, unix.CAP_*.
type Caps uint64

// AllCaps has all capabilities that Linux 6.18 knows.
const AllCaps Caps = 1<<(unix.CAP_LAST_CAP+1) - 1

// fsCaps has the capabilities that setfsuid(2) changes: see capabilities(7).
const fsCaps Caps = 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH |
	1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID | 1<<unix.CAP_LINUX_IMMUTABLE |
	1<<unix.CAP_MAC_OVERRIDE | 1<<unix.CAP_MKNOD

// Has reports whether the capability is in the set.
func (s Caps) Has(capability int) bool { return s>>uint(capability)&1 != 0 }

// subsetOf reports whether every capability in s is in other.
func (s Caps) subsetOf(other Caps) bool { return s&^other == 0 }

// The securebits flags of capabilities(7) and <linux/securebits.h>. The next bit of each is
// its "locked" flag.
const (
	SecbitNoRoot              = 1 << 0
	SecbitNoSetuidFixup       = 1 << 2
	SecbitKeepCaps            = 1 << 4
	SecbitNoCapAmbientRaise   = 1 << 6
	SecbitExecRestrictFile    = 1 << 8
	SecbitExecDenyInteractive = 1 << 10

	SecbitKeepCapsLocked = SecbitKeepCaps << 1

	// Flags that only interpreters use. The kernel just stores them.
	secbitUnprivileged = SecbitExecRestrictFile | SecbitExecDenyInteractive

	secbitFlags = SecbitNoRoot | SecbitNoSetuidFixup | SecbitKeepCaps | SecbitNoCapAmbientRaise | secbitUnprivileged
	secbitLocks = secbitFlags << 1
)

// Capset implements capset(2): see "Programmatically adjusting capability sets" in
// capabilities(7). Capabilities that the kernel does not know are ignored. The error is
// EPERM.
func (c Credentials) Capset(effective, permitted, inheritable Caps) (Credentials, unix.Errno) {
	effective, permitted, inheritable = effective&AllCaps, permitted&AllCaps, inheritable&AllCaps
	switch {
	// "If the caller does not have the CAP_SETPCAP capability, the new inheritable set
	// must be a subset of the combination of the existing inheritable and permitted
	// sets."
	case !c.Capable(unix.CAP_SETPCAP) && !inheritable.subsetOf(c.Inheritable|c.Permitted),
		// "The new inheritable set must be a subset of the combination of the existing
		// inheritable set and the capability bounding set."
		!inheritable.subsetOf(c.Inheritable | c.Bounding),
		// "The new permitted set must be a subset of the existing permitted set"
		!permitted.subsetOf(c.Permitted),
		// "The new effective set must be a subset of the new permitted set."
		!effective.subsetOf(permitted):
		return c, unix.EPERM
	}
	c.Effective, c.Permitted, c.Inheritable = effective, permitted, inheritable
	// "The ambient capability set obeys the invariant that no capability can ever be
	// ambient if it is not both permitted and inheritable." "Ambient capabilities are
	// automatically lowered if either of the corresponding permitted or inheritable
	// capabilities is lowered."
	c.Ambient &= permitted & inheritable
	return c, 0
}

// KeepCaps implements prctl(PR_GET_KEEPCAPS): see PR_GET_KEEPCAPS(2const).
func (c Credentials) KeepCaps() bool { return c.Securebits&SecbitKeepCaps != 0 }

// SetKeepCaps implements prctl(PR_SET_KEEPCAPS, keep). The error is EINVAL or EPERM.
func (c Credentials) SetKeepCaps(keep uint64) (Credentials, unix.Errno) {
	// prctl(2): "arg2 must be either 0 (clear the flag) or 1 (set the flag)."
	if keep > 1 {
		return c, unix.EINVAL
	}
	// "EPERM option is PR_SET_KEEPCAPS, and the caller's SECBIT_KEEP_CAPS_LOCKED flag
	// is set"
	if c.Securebits&SecbitKeepCapsLocked != 0 {
		return c, unix.EPERM
	}
	c.Securebits &^= SecbitKeepCaps
	if keep == 1 {
		c.Securebits |= SecbitKeepCaps
	}
	return c, 0
}

// SetSecurebits implements prctl(PR_SET_SECUREBITS, bits). The error is EPERM.
func (c Credentials) SetSecurebits(bits uint64) (Credentials, unix.Errno) {
	old := uint64(c.Securebits)
	changed := old ^ bits
	switch {
	// capabilities(7): "Setting any of the "locked" flags is irreversible, and has the
	// effect of preventing further changes to the corresponding "base" flag."
	case old&secbitLocks&^bits != 0, old&secbitLocks>>1&changed != 0,
		bits&^(secbitFlags|secbitLocks) != 0:
		return c, unix.EPERM
	// "The CAP_SETPCAP capability is required to modify the flags". The kernel requires it
	// even to set the flags that are set already, but not to change those that only
	// interpreters use.
	case !c.Capable(unix.CAP_SETPCAP) &&
		(changed == 0 || changed&^(secbitUnprivileged|secbitUnprivileged<<1) != 0):
		return c, unix.EPERM
	}
	c.Securebits = uint32(bits)
	return c, 0
}

// ReadBounding implements prctl(PR_CAPBSET_READ, capability): it reports whether the
// capability is in the bounding set. The error is EINVAL.
func (c Credentials) ReadBounding(capability uint64) (bool, unix.Errno) {
	// prctl(2): "If the capability specified in arg2 is not valid, then the call fails
	// with the error EINVAL."
	if capability > unix.CAP_LAST_CAP {
		return false, unix.EINVAL
	}
	return c.Bounding.Has(int(capability)), 0
}

// DropBounding implements prctl(PR_CAPBSET_DROP, capability). The error is EPERM or
// EINVAL.
func (c Credentials) DropBounding(capability uint64) (Credentials, unix.Errno) {
	// prctl(2): "EPERM if the calling thread does not have the CAP_SETPCAP; EINVAL if
	// arg2 does not represent a valid capability"
	if !c.Capable(unix.CAP_SETPCAP) {
		return c, unix.EPERM
	}
	if capability > unix.CAP_LAST_CAP {
		return c, unix.EINVAL
	}
	c.Bounding &^= 1 << capability
	return c, 0
}

// CapAmbient implements prctl(PR_CAP_AMBIENT, op, capability, 0, 0), and also returns that
// call's result. The error is EINVAL or EPERM. The caller of CapAmbient must check that
// the last two arguments are 0, else prctl(2) fails with EINVAL.
func (c Credentials) CapAmbient(op, capability uint64) (Credentials, uint64, unix.Errno) {
	if op == unix.PR_CAP_AMBIENT_CLEAR_ALL {
		// prctl(2): "This operation requires setting arg3 to zero."
		if capability != 0 {
			return c, 0, unix.EINVAL
		}
		c.Ambient = 0
		return c, 0, 0
	}
	// "EINVAL [...] arg3 does not specify a valid capability."
	if capability > unix.CAP_LAST_CAP {
		return c, 0, unix.EINVAL
	}
	bit := Caps(1) << capability
	switch op {
	case unix.PR_CAP_AMBIENT_IS_SET:
		return c, uint64(c.Ambient >> capability & 1), 0
	case unix.PR_CAP_AMBIENT_LOWER:
		c.Ambient &^= bit
		return c, 0, 0
	case unix.PR_CAP_AMBIENT_RAISE:
		// "The specified capability must already be present in both the permitted and the
		// inheritable sets of the process. This operation is not permitted if the
		// SECBIT_NO_CAP_AMBIENT_RAISE securebit is set."
		if c.Permitted&c.Inheritable&bit == 0 || c.Securebits&SecbitNoCapAmbientRaise != 0 {
			return c, 0, unix.EPERM
		}
		c.Ambient |= bit
		return c, 0, 0
	}
	return c, 0, unix.EINVAL
}
