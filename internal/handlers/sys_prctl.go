package handlers

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/identity"
)

// Prctl handles prctl(option, arg2, ...) for options about capabilities, dumpability, timer
// slack and seccomp, and for PR_SET_MM.
func Prctl(c *Call) Result {
	if c.inRuntime() {
		return Continue
	}
	arg := c.Data.Args[1]
	switch c.int32(0) {
	case unix.PR_GET_KEEPCAPS:
		return returnBool(c.identity().KeepCaps())
	case unix.PR_SET_KEEPCAPS:
		return c.setCredentials(c.identity().SetKeepCaps(arg))
	case unix.PR_GET_SECUREBITS:
		return Return(int(c.identity().Securebits))
	case unix.PR_SET_SECUREBITS:
		return c.setCredentials(c.identity().SetSecurebits(arg))
	case unix.PR_CAPBSET_READ:
		has, e := c.identity().ReadBounding(arg)
		if e != 0 {
			return Errno(e)
		}
		return returnBool(has)
	case unix.PR_CAPBSET_DROP:
		return c.setCredentials(c.identity().DropBounding(arg))
	case unix.PR_CAP_AMBIENT:
		return c.capAmbient()
	case unix.PR_GET_DUMPABLE:
		if value := c.identity().Dumpable(); value != 1 {
			return Return(value)
		}
	case unix.PR_SET_DUMPABLE:
		return c.setDumpable(arg)
	case unix.PR_SET_TIMERSLACK:
		return c.setTimerSlack(arg)
	case unix.PR_GET_TIMERSLACK:
		return c.getTimerSlack()
	case unix.PR_SET_MM:
		return c.setMM()
	case unix.PR_SET_SECCOMP:
		if arg == unix.SECCOMP_MODE_FILTER {
			return c.installFilter(c.addr(2))
		}
	}
	return Continue
}

// setDumpable handles prctl(PR_SET_DUMPABLE, dumpable), which the kernel executes, too.
func (c *Call) setDumpable(dumpable uint64) Result {
	if dumpable > 1 || !c.Identities.InUse() { // EINVAL, or the kernel suffices
		return Continue
	}
	s := *c.identity()
	s.SetDumpable(int(dumpable))
	if e := c.become(&s); e != 0 {
		return Errno(e)
	}
	return Continue
}

// returnBool makes the call return 1 if b is true, otherwise 0.
func returnBool(b bool) Result {
	if b {
		return Return(1)
	}
	return Return(0)
}

// capAmbient handles prctl(PR_CAP_AMBIENT, op, capability, 0, 0).
func (c *Call) capAmbient() Result {
	// prctl(2): "arg4 and arg5 must be specified as 0", else EINVAL.
	if c.Data.Args[3]|c.Data.Args[4] != 0 {
		return Errno(unix.EINVAL)
	}
	to, value, e := c.identity().CapAmbient(c.Data.Args[1], c.Data.Args[2])
	if result := c.setCredentials(to, e); result.Errno != 0 {
		return result
	}
	return Return(int(value))
}

// setMM handles prctl(PR_SET_MM). It changes what shows whether an execve(2) has succeeded
// (identity.Table.Expect), so a pending execve is resolved first.
func (c *Call) setMM() Result {
	if e := c.Identities.ResolveExec(c.PID); e != 0 {
		return Errno(e)
	}
	return Continue
}

// setTimerSlack handles prctl(PR_SET_TIMERSLACK, slack).
func (c *Call) setTimerSlack(slack uint64) Result {
	if !c.Identities.InUse() && !identity.Hidden(slack) {
		return Continue
	}
	return Errno(c.Identities.SetSlack(c.PID, slack))
}

// getTimerSlack handles prctl(PR_GET_TIMERSLACK).
func (c *Call) getTimerSlack() Result {
	if !c.Identities.InUse() {
		return Continue
	}
	slack, known, e := c.Identities.Slack(c.PID)
	if e != 0 {
		return Errno(e)
	}
	if !known {
		return Continue
	}
	return Return(int(slack))
}
