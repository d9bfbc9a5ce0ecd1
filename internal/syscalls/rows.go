package syscalls

import "slices"

// Rows is the table of system calls. A suffix or prefix (16, 32, 64, old) marks a name
// that exists on i386 only. Where the arguments of a name differ on i386, its row
// has an I386 handler.
//
// The order matters for filters that test one call after the other: calls that
// programs make often, and that are seldom notified, come first. Such a filter adds
// 30 ns to fcntl in the first place, and 90 ns in the last.
var Rows = slices.Concat(
	descriptorRows, ownerRows, xattrRows, changeRows, reachRows, nameRows, rootRows, identityRows,
	execRows, deviceRows, createRows, taskRows, socketRows, ipcRows, nativeRows, commonRows, refusedRows,
)

// refusedRows are the calls that would bypass the filter.
var refusedRows = []Row{
	{Name: "io_uring_setup", Support: Refused, Note: "operations on a ring bypass seccomp; programs fall back to ordinary calls"},
}
