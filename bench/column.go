package main

const (
	columnNative     = "native"
	columnSubuidless = "subuidless"
	columnLean       = "subuidless, lean"
	columnBare       = "bare"
)

// column is one way to run a command. Its strings may hold the placeholders of expand.
type column struct {
	name  string
	needs []string
	// wrap comes before the command.
	wrap []string
	env  []string
	// chroot comes before a command that runs in the root file system {run}/root; without it the column cannot.
	chroot []string
	// after ends what the wrapper leaves behind; it is not timed.
	after []string
	// oneID columns run in a plain one-id user namespace, where every id but 0 is refused.
	oneID bool
	// peer columns are the programs that subuidless wants to be ahead of.
	peer bool
	// preload columns emulate in the process itself, by LD_PRELOAD: static programs and raw system calls escape them.
	preload bool
}

var columns = []column{
	{name: columnNative, oneID: true, chroot: []string{"chroot", "{run}/root"}},
	{name: columnSubuidless, wrap: []string{"{bin}/subuidless", "exec", "--"},
		chroot: []string{"{bin}/subuidless", "exec", "--", "chroot", "{run}/root"}},
	// Permissions of files hold for nobody, and so the calls that only they matter to are not notified.
	{name: columnLean, wrap: []string{"{bin}/subuidless", "exec", "--permissions=off", "--"},
		chroot: []string{"{bin}/subuidless", "exec", "--permissions=off", "--", "chroot", "{run}/root"}},
	{name: "fakeroot", needs: []string{"fakeroot"}, wrap: []string{"fakeroot", "--"}, peer: true, preload: true},
	{name: "proot -0", needs: []string{"proot"}, wrap: []string{"proot", "-0"},
		// proot unpacks its loader there for each exec: on a disk that would be the disk's figure.
		env:    []string{"PROOT_TMP_DIR={state}"},
		chroot: []string{"proot", "-0", "-r", "{run}/root", "-w", "/"},
		peer:   true},
	{name: "pseudo", needs: []string{"pseudo"}, wrap: []string{"pseudo"},
		// Debian's build keeps its database in /usr/var unless told otherwise. A database of its own for each run is also
		// what keeps pseudo from aborting: it finds inodes reused that it had recorded for a removed file.
		env: []string{"PSEUDO_PREFIX=/usr", "PSEUDO_LOCALSTATEDIR={state}"},
		// Its daemon would stay for 30 seconds more.
		after:   []string{"pseudo", "-S"},
		peer:    true,
		preload: true},
	{name: columnBare, needs: []string{"gcc"}, wrap: []string{"{bin}/bare", "{bin}/filter"}},
}
