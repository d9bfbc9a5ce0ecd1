// Package accelerate makes processes answer their own system calls, where the answer is
// that of the kernel: see docs/internals/accelerate.md.
//
// A process that makes many notified calls gets the code of package blob. From then on, each
// call site is patched as soon as it makes a notified call: the instruction that loads the
// number of the call becomes a jump into the code.
//
// The files with pure functions: site.go (what a call site looks like, and what replaces
// it), bootstrap.go (the code with which a process maps the blob), maps.go and segment.go
// (where there is room for both). process.go reads and writes a process, patch.go changes its
// code, injector.go decides.
//
// # State
//
// All state is in the memory of the process itself: it ends with execve(2) and the
// process, and fork(2) copies it. Each write leaves a program that is right:
//
//  1. The bootstrap is written where no code is, and nothing jumps there.
//  2. One write of 5 bytes makes a call site jump to it. When the process calls the next time, it
//     maps the code, and asks for more.
//  3. Slots are written into the mapping, and nothing jumps there.
//  4. One write for each page makes call sites jump to slots.
//
// So a supervisor may be killed between any two of them, and the next one needs to know
// nothing. What an Injector remembers about processes is a hint: it checks everything in
// the process's memory.
//
// # When code may change
//
// Code changes only while the process waits for the answer to a notification, and no
// other task can be executing it: the process has one thread, does not share its memory,
// and is not traced. No thread can be inside of the 5 bytes, because they have been one
// instruction before, and are one afterwards; that is also true for a signal handler that
// returns later.
package accelerate
