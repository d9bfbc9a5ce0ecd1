package supervisor

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// minAddressSpace is how much address space a worker needs: most of it for the table of identities,
// which is sparse, the rest for what the Go runtime reserves.
const minAddressSpace = 3584 << 20

// checkAddressSpace returns an error if the supervisor cannot get enough address space. Without that,
// the Go runtime of the worker would print a stack dump.
func checkAddressSpace() error {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &l); err != nil {
		return os.NewSyscallError("getrlimit(RLIMIT_AS)", err)
	}
	if l.Max < minAddressSpace {
		return fmt.Errorf("the limit on address space is %d MiB, and the supervisor needs %d MiB, although it uses little of that: raise it with ulimit -v, or limit the command only: ulimit -S -v", l.Max>>20, minAddressSpace>>20)
	}
	return nil
}

// raiseAddressSpace raises the soft limit on address space, which is meant for the command, to the
// hard one. Processes that this one starts inherit it.
func raiseAddressSpace() error {
	var l unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_AS, &l)
	if err == nil && l.Cur < l.Max {
		l.Cur = l.Max
		err = unix.Setrlimit(unix.RLIMIT_AS, &l)
	}
	return os.NewSyscallError("raising RLIMIT_AS", err)
}
