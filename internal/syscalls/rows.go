package syscalls

import (
	"slices"
	"sync"

	"github.com/rootless-containers/subuidless/internal/handlers"
)

// Rows returns the table of system calls, which callers must not change. A suffix or prefix (16, 32, 64, old) marks a name
// that exists on i386 only. Where the arguments of a name differ on i386, its row
// has an I386 handler.
//
// The order matters for filters that test one call after the other: calls that
// programs make often, and that are seldom notified, come first. Such a filter adds
// 30 ns to fcntl in the first place, and 90 ns in the last.
//
// The table is made when it is first needed, because most processes of subuidless start without it.
var Rows = sync.OnceValue(func() []Row {
	return slices.Concat(
		files(descriptorRows), files(ownerRows), files(xattrRows), files(changeRows), files(reachRows), files(nameRows),
		rootRows, identityRows, execRows, files(deviceRows), files(createRows), taskRows, socketRows, ipcRows, nativeRows,
		commonRows, refusedRows,
	)
})

// files returns rows, which are about files, with Serve set.
func files(rows []Row) []Row {
	rows = slices.Clone(rows)
	for i := range rows {
		if rows[i].Support == Emulated && rows[i].Serve == nil {
			rows[i].Serve = handlers.ServeFile
		}
	}
	return rows
}

// refusedRows are the calls that would bypass the filter.
var refusedRows = []Row{
	{Name: "io_uring_setup", Support: Refused, Note: "operations on a ring bypass seccomp; programs fall back to ordinary calls"},
}
