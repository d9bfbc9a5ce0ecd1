package syscalls

import "slices"

// Rows is the table. A name that exists only on i386 is marked by its suffix
// (16, 32, 64, old); where a name means another layout there, the row has an
// I386 handler.
//
// The filter goes through them in this order. So first come those that are called often,
// and notified seldom: fcntl takes 30 ns longer than without a row, and 90 ns as the last.
var Rows = slices.Concat(descriptorRows, ownerRows, xattrRows, changeRows, reachRows, nameRows, rootRows, identityRows, execRows, deviceRows, createRows,
	taskRows, socketRows, nativeRows, otherRows)

// otherRows are the calls that no handler answers.
var otherRows = []Row{
	// Ways past the filter.
	{Name: "io_uring_setup", Support: Refused, Note: "a ring's operations bypass seccomp; programs fall back to ordinary calls"},
}
