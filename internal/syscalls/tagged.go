package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/accelerate/blob"
)

// Half is one half of an argument, 32 bits, which is what classic BPF can load.
type Half struct {
	Index uint // of the argument, 0 to 5
	Upper bool
}

// HalfTest is a test of one half of an argument: half & Mask == Value.
type HalfTest struct {
	Half
	Mask, Value uint32
}

// Tagged is a system call that the code in an accelerated process (package accelerate) may
// make without a notification. It proves that it is that code by a tag: the address of the
// instruction after the call, in an argument that the call does not have. A program has that
// address there only if it wants to. In particular, a signal handler, which begins with the
// registers of the code that it interrupts, makes its calls at other addresses.
//
// Tagged calls exist on x86-64 only.
type Tagged struct {
	Name string
	// Lower and Upper are where the two halves of the tag are.
	Lower, Upper Half
	// Only are tests that must all hold, too.
	Only []HalfTest
}

// TaggedCalls are the system calls that may be tagged.
var TaggedCalls = append(inSixth("newfstatat", "stat", "lstat", "fstat", "statx", "access", "faccessat", "faccessat2", "readlink", "readlinkat",
	"chdir", "statfs", "getuid", "geteuid", "getgid", "getegid", "getxattr", "lgetxattr", "fgetxattr"),
	tagged("open", opensToRead(1)),
	tagged("openat", opensToRead(2)),
	// Only without a new limit.
	tagged("prlimit64", HalfTest{Half{Index: 2}, ^uint32(0), 0}, HalfTest{Half{Index: 2, Upper: true}, ^uint32(0), 0}),
	// It has six arguments: the tag is in the upper halves of two that are ints.
	Tagged{Name: "getxattrat", Lower: Half{Index: 2, Upper: true}, Upper: Half{Index: 0, Upper: true}},
)

// tagged returns a call whose tag is in the sixth argument.
func tagged(name string, only ...HalfTest) Tagged {
	return Tagged{Name: name, Lower: Half{Index: 5}, Upper: Half{Index: 5, Upper: true}, Only: only}
}

// inSixth returns tagged for each of names.
func inSixth(names ...string) []Tagged {
	var calls []Tagged
	for _, name := range names {
		calls = append(calls, tagged(name))
	}
	return calls
}

// opensToRead returns the test for flags of open(2), the argument index, that neither write nor
// create a file.
func opensToRead(index uint) HalfTest {
	const writes = unix.O_ACCMODE | unix.O_CREAT | unix.O_TRUNC | unix.O_TMPFILE&^unix.O_DIRECTORY
	return HalfTest{Half{Index: index}, writes, 0}
}

// WithAcceleration returns a copy of rows for a container whose processes are accelerated.
// It notifies more calls: those of the code in the process to the supervisor, and
// those that make processes share their memory without being threads. The supervisor
// changes the code of a process only if no other task can be executing it.
func WithAcceleration(rows []Row) []Row {
	var all []Row
	for _, r := range rows {
		switch r.Name {
		case "prctl":
			r.When = append(append([]ArgTest(nil), r.When...), option(blob.PrctlMap), option(blob.PrctlMapped))
		case "clone":
			r.When = append(append([]ArgTest(nil), r.When...),
				// Of vfork(2), only the parent waits.
				ArgTest{0, unix.CLONE_VM | unix.CLONE_VFORK | unix.CLONE_THREAD, unix.CLONE_VM},
				ArgTest{0, unix.CLONE_VM | unix.CLONE_PARENT | unix.CLONE_THREAD, unix.CLONE_VM | unix.CLONE_PARENT})
		}
		all = append(all, r)
	}
	return all
}

// SharesMemory reports whether clone(2) with these flags makes a task that shares the memory of
// its parent, is no thread of it, and may run at the same time.
func SharesMemory(flags uint64) bool {
	return flags&unix.CLONE_VM != 0 && flags&unix.CLONE_THREAD == 0 && (flags&unix.CLONE_VFORK == 0 || flags&unix.CLONE_PARENT != 0)
}
