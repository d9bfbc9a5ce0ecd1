package syscalls

import (
	"slices"
	"sync"

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

// Tagged is a system call that the code in an accelerated process (package accelerate)
// may make without a notification. It proves that it is that code by a tag: the address
// of the instruction after the call, in an argument that the call does not have. A
// program has that address there only if it wants to. In particular, a signal handler,
// which begins with the registers of the code that it interrupts, makes its calls at
// other addresses.
//
// Tagged calls exist on x86-64 only.
type Tagged struct {
	Name string
	// Lower and Upper are where the two halves of the tag are.
	Lower, Upper Half
	// Only are tests that must all hold, too.
	Only []HalfTest
}

// Answered is a system call of the program that the code may answer, with tagged calls.
type Answered struct {
	Name string
	// Only are tests that must all hold: the code answers no other ones.
	Only []HalfTest
}

// Allows reports whether the tests in Only hold for these arguments.
func (a *Answered) Allows(args *[6]uint64) bool {
	for _, o := range a.Only {
		half := uint32(args[o.Index])
		if o.Upper {
			half = uint32(args[o.Index] >> 32)
		}
		if half&o.Mask != o.Value {
			return false
		}
	}
	return true
}

// TaggedCalls returns the system calls that may be tagged. They change no identity, give files to the
// container's root only, and write no attribute except a small one that the file does not have yet:
// the record of an owner.
var TaggedCalls = sync.OnceValue(func() []Tagged {
	return slices.Concat(
		inSixth("newfstatat", "fstat", "statx", "faccessat", "faccessat2", "readlinkat", "getdents64", "chdir", "fchdir", "statfs",
			"getuid", "geteuid", "getgid", "getegid", "getxattr", "lgetxattr", "fgetxattr", "listxattrat",
			"mkdirat", "symlinkat", "linkat", "unlinkat", "renameat2", "fchmodat", "fchmod", "utimensat"),
		inSixth("openat").only(unnamed(2)...),
		inSixth("fchownat").only(toRoot(2, 3)...),
		inSixth("fchown").only(toRoot(1, 2)...),
		inSixth("fsetxattr").only(HalfTest{Half{Index: 3}, ^uint32(31), 0}, HalfTest{Half{Index: 3, Upper: true}, ^uint32(0), 0},
			HalfTest{Half{Index: 4}, ^uint32(0), unix.XATTR_CREATE}),
		// It has six arguments: the tag is in the upper halves of two that are ints.
		taggedCalls{{Name: "getxattrat", Lower: Half{Index: 2, Upper: true}, Upper: Half{Index: 0, Upper: true}}},
	)
})

// AnsweredCalls returns the system calls that the code may answer.
var AnsweredCalls = sync.OnceValue(func() []Answered {
	return slices.Concat(
		always("stat", "lstat", "fstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents64",
			"chdir", "fchdir", "statfs", "getuid", "geteuid", "getgid", "getegid",
			"getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr",
			"creat", "mkdir", "mkdirat", "symlink", "symlinkat", "link", "linkat", "unlink", "unlinkat", "rmdir", "rename", "renameat", "renameat2",
			"chmod", "fchmod", "fchmodat", "fchmodat2", "fchown", "utimensat"),
		[]Answered{
			{"open", unnamed(1)}, {"openat", unnamed(2)},
			{"chown", toRoot(1, 2)}, {"lchown", toRoot(1, 2)}, {"fchownat", toRoot(2, 3)},
			// An ACL without named users and groups.
			{"fsetxattr", []HalfTest{{Half{Index: 3}, ^uint32(0), 28}, {Half{Index: 4}, ^uint32(0), 0}}},
		},
	)
})

type taggedCalls []Tagged

// inSixth returns calls whose tag is in the sixth argument.
func inSixth(names ...string) taggedCalls {
	var calls taggedCalls
	for _, name := range names {
		calls = append(calls, Tagged{Name: name, Lower: Half{Index: 5}, Upper: Half{Index: 5, Upper: true}})
	}
	return calls
}

// only sets Only, and returns the calls.
func (calls taggedCalls) only(tests ...HalfTest) taggedCalls {
	for i := range calls {
		calls[i].Only = tests
	}
	return calls
}

// always returns calls without tests.
func always(names ...string) []Answered {
	var calls []Answered
	for _, name := range names {
		calls = append(calls, Answered{Name: name})
	}
	return calls
}

// unnamed returns the test for flags of open(2), the argument index, that create no file without a
// name.
func unnamed(index uint) []HalfTest {
	return []HalfTest{{Half{Index: index}, unix.O_TMPFILE &^ unix.O_DIRECTORY, 0}}
}

// toRoot returns the tests for owners, the arguments uid and gid, that are the container's root.
func toRoot(uid, gid uint) []HalfTest {
	return []HalfTest{{Half{Index: uid}, ^uint32(0), 0}, {Half{Index: gid}, ^uint32(0), 0}}
}

// WithAcceleration returns a copy of rows for a container whose processes are accelerated.
// It notifies more calls: those of the code in the process to the supervisor, those that make
// processes share their memory without being threads, and those that let a process notice by their
// addresses where its calls come from. The supervisor changes the code of a process only if no other
// task can be executing it.
func WithAcceleration(rows []Row) []Row {
	var all []Row
	for _, r := range rows {
		switch r.Name {
		case "prctl":
			r.When = append(append([]Condition(nil), r.When...), option(blob.PrctlMap), option(blob.PrctlMapped), option(unix.PR_SET_SYSCALL_USER_DISPATCH))
		case "clone":
			r.When = append(append([]Condition(nil), r.When...),
				// Of vfork(2), only the parent waits.
				Condition{{0, unix.CLONE_VM | unix.CLONE_VFORK | unix.CLONE_THREAD, unix.CLONE_VM}},
				Condition{{0, unix.CLONE_VM | unix.CLONE_PARENT | unix.CLONE_THREAD, unix.CLONE_VM | unix.CLONE_PARENT}})
		}
		all = append(all, r)
	}
	return all
}

// SharesMemory reports whether clone(2) with these flags makes a task that shares the
// memory of its parent, is no thread of it, and may run at the same time.
func SharesMemory(flags uint64) bool {
	return flags&unix.CLONE_VM != 0 && flags&unix.CLONE_THREAD == 0 && (flags&unix.CLONE_VFORK == 0 || flags&unix.CLONE_PARENT != 0)
}
