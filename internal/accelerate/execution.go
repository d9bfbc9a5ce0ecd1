package accelerate

import (
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// execution is what all receivers know about the programs that a process executes. Others
// may share it, whose hints are forgotten, too.
type execution struct {
	program atomic.Uint32 // changes with the program: a hint is about one of them
	// thread is a thread that executes a program in place of the whole process, and the
	// process: it then has the number of the process. 0: none.
	thread atomic.Uint64
	// begun is the process whose program programs.begins has counted last, that program, and the
	// prediction: see Injector.begins.
	begun atomic.Uint64
}

func (a *Accelerator) execution(pid uint32) *execution { return &a.executions[pid%nhints] }

// forget makes all receivers forget what they know about the process.
func (x *execution) forget() { x.program.Add(1) }

// Executes is called before the thread tid executes another program.
func (a *Accelerator) Executes(tid uint32) {
	pid, ok := processOf(tid)
	if !ok {
		return // it is gone
	}
	x := a.execution(pid)
	if pid != tid {
		x.thread.Store(uint64(pid)<<32 | uint64(tid))
	}
	x.forget()
}

// pending reports whether a thread of the process pid, which makes a call, may be about to
// execute a program. What the process does until then says nothing about that program.
func (x *execution) pending(pid uint32) bool {
	thread := x.thread.Load()
	if thread>>32 != uint64(pid) {
		return false
	}
	if unix.Tgkill(int(pid), int(uint32(thread)), 0) != unix.ESRCH {
		return true // also if it has failed: a process with threads cannot be changed
	}
	if x.thread.CompareAndSwap(thread, 0) {
		x.forget()
	}
	return false
}

// processOf returns the process of the thread tid. Ok is false if there is no such thread.
func processOf(tid uint32) (pid uint32, ok bool) {
	if isProcess(tid) {
		return tid, true
	}
	status, err := readStatus(tid)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(sys.StatusField(status, "Tgid"), 10, 32)
	return uint32(n), err == nil
}
