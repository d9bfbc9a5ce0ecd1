package handlers

import "golang.org/x/sys/unix"

// NewRoot answers the calls that give a task another root directory or mount
// namespace. The kernel executes them; from then on paths are resolved for each
// task from its own root.
func NewRoot(c *Call) Result {
	c.Roots.RootsDiffer(c.PID)
	return Continue
}

// Chroot answers chroot(path).
func Chroot(c *Call) Result {
	// The errors of chdir(2) come first, in its order.
	if r := Chdir(c); r.Errno != 0 {
		return r
	}
	if e := c.lacksAt(unix.CAP_SYS_CHROOT, 0, 0, true); e != 0 {
		return Errno(e)
	}
	return NewRoot(c)
}

// PivotRoot answers pivot_root(new_root, put_old).
func PivotRoot(c *Call) Result {
	if c.lacksCap(unix.CAP_SYS_ADMIN) {
		return Errno(unix.EPERM)
	}
	return NewRoot(c)
}
