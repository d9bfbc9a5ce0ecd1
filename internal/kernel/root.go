package kernel

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// NewRoot answers the calls that give a task another root directory or mount
// namespace. The kernel executes them; from then on paths are resolved for each
// task from its own root.
func NewRoot(c *Call) Result {
	c.Roots.RootsDiffer()
	return Continue
}

// Clone3 answers clone3(cl_args, size), whose flags the filter cannot see.
func Clone3(c *Call) Result {
	var flags [8]byte
	if n, e := c.Tracee.Read(c.addr(0), flags[:]); e != 0 || n < len(flags) {
		return Continue // EFAULT
	}
	if binary.LittleEndian.Uint64(flags[:])&unix.CLONE_NEWNS != 0 {
		c.Roots.RootsDiffer()
	}
	return Continue
}
