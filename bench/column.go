package main

import "slices"

const (
	columnNative     = "native"
	columnSubuidless = "subuidless"
	columnUnchecked  = "subuidless, permissions off"
	columnNotified   = "subuidless, accelerate off"
	columnBare       = "bare"
)

// column is one way to run a command. Its strings may contain the placeholders of expand.
type column struct {
	name  string
	needs []string
	// wrap precedes the command.
	wrap []string
	env  []string
	// chroot precedes a command that runs in the root file system {run}/root. A column
	// without it cannot do so.
	chroot []string
	// after ends processes that the wrapper leaves behind. It is not timed.
	after []string
	// oneID columns run in a plain one-id user namespace, in which every id except 0 is
	// refused.
	oneID bool
	// peer columns are the programs that subuidless aims to be faster than.
	peer bool
	// preload columns emulate in the process itself, by LD_PRELOAD, and miss static
	// programs and raw system calls.
	preload bool
}

var columns = []column{
	{name: columnNative, oneID: true, chroot: []string{"chroot", "{run}/root"}},
	subuidlessColumn(columnSubuidless, "subuidless"),
	subuidlessColumn(columnUnchecked, "subuidless", unchecked),
	subuidlessColumn(columnNotified, "subuidless", "--accelerate=off"),
	{name: "fakeroot", needs: []string{"fakeroot"}, wrap: []string{"fakeroot", "--"}, peer: true, preload: true},
	{name: "proot -0", needs: []string{"proot"}, wrap: []string{"proot", "-0"},
		// proot unpacks its loader there for each exec. On a disk, that would measure the
		// disk.
		env:    []string{"PROOT_TMP_DIR={state}"},
		chroot: []string{"proot", "-0", "-r", "{run}/root", "-w", "/"},
		peer:   true},
	{name: "pseudo", needs: []string{"pseudo"}, wrap: []string{"pseudo"},
		// Debian's build keeps its database in /usr/var by default. A new database for
		// each run also keeps pseudo from aborting when it finds the inode number of a
		// removed file in use again.
		env: []string{"PSEUDO_PREFIX=/usr", "PSEUDO_LOCALSTATEDIR={state}"},
		// Its daemon would stay for another 30 seconds.
		after:   []string{"pseudo", "-S"},
		peer:    true,
		preload: true},
	{name: columnBare, needs: []string{"gcc"}, wrap: []string{"{bin}/bare", "{bin}/filter"}},
}

// unchecked turns permissions off: calls that only matter for permissions are not notified.
const unchecked = "--permissions=off"

// subuidlessColumn returns the column of a binary of subuidless in the bin directory.
func subuidlessColumn(name, binary string, options ...string) column {
	wrap := slices.Concat([]string{"{bin}/" + binary, "exec"}, options, []string{"--"})
	return column{name: name, wrap: wrap, chroot: slices.Concat(wrap, []string{"chroot", "{run}/root"})}
}
