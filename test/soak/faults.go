package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// faultKind is what happens to a container.
type faultKind int

const (
	workerKilled faultKind = iota
	keeperKilled
	bothKilled // in the same instant
	workerStopped
	keeperStopped
	witnessStopped
	taskKilled
	taskStopped
	agentKilled
	outOfDescriptors // the worker is
	outOfMemory
	readOnlySidecar
	faultKinds
)

func (k faultKind) String() string {
	return [...]string{
		workerKilled: "worker killed", keeperKilled: "keeper killed", bothKilled: "both killed",
		workerStopped: "worker stopped", keeperStopped: "keeper stopped", witnessStopped: "front stopped",
		taskKilled: "task killed", taskStopped: "task stopped", agentKilled: "agent killed",
		outOfDescriptors: "out of descriptors", outOfMemory: "out of memory", readOnlySidecar: "read-only sidecar",
	}[k]
}

// faults makes faults happen.
type faults struct {
	rand   *rand.Rand
	places []*place
	agent  *agent
}

// maxPause is the longest time between two faults, and maxStop the longest one for which a process
// is stopped.
const (
	maxPause = 100 * time.Millisecond
	maxStop  = 200 * time.Millisecond
)

// run makes faults happen for a time. It is an error if a place ends or hangs.
func (f *faults) run(ctx context.Context, d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end) && ctx.Err() == nil; {
		pause(ctx, rand.N(maxPause))
		p := f.places[f.rand.IntN(len(f.places))]
		kind := faultKind(f.rand.IntN(int(faultKinds)))
		if err := f.do(p, kind); err != nil {
			return fmt.Errorf("%s: %v: %w", p.name, kind, err)
		}
		processes(f.own()...)
		for _, p := range f.places {
			select {
			case err := <-p.ended:
				p.ended <- err
				return fmt.Errorf("%s has ended: %v\n%s", p.name, err, p.said())
			default:
			}
			if job := p.hangs(); job != "" {
				p.hung++
				return fmt.Errorf("%s, %s hangs\n%s\n%s", p.name, job, p.said(), describeTasks())
			}
		}
	}
	return ctx.Err()
}

// own returns the processes that others wait for.
func (f *faults) own() (pids []int) {
	for _, p := range f.places {
		pids = append(pids, p.cmd.Process.Pid)
	}
	if f.agent != nil {
		pids = append(pids, f.agent.cmd.Process.Pid)
	}
	return pids
}

// do makes a fault happen, unless its victim is just being replaced.
func (f *faults) do(p *place, kind faultKind) error {
	switch kind {
	case workerKilled:
		f.signal(p, kind, unix.SIGKILL, f.find(p, workerName))
	case keeperKilled:
		f.signal(p, kind, unix.SIGKILL, f.find(p, keeperName))
	case bothKilled:
		worker, keeper := f.find(p, workerName), f.find(p, keeperName)
		if len(worker) == 0 || len(keeper) == 0 {
			return nil
		}
		victims := append(keeper, worker...)
		if f.rand.IntN(2) == 0 {
			slices.Reverse(victims)
		}
		f.signal(p, kind, unix.SIGKILL, victims)
	case workerStopped:
		f.stop(p, kind, f.find(p, workerName))
	case keeperStopped:
		f.stop(p, kind, f.find(p, keeperName))
	case witnessStopped:
		f.stop(p, kind, []int{p.cmd.Process.Pid})
	case taskKilled:
		f.signal(p, kind, unix.SIGKILL, f.one(below(p.top(), isTask)))
	case taskStopped:
		f.stop(p, kind, f.one(below(p.top(), isJob)))
	case agentKilled:
		if f.agent == nil || p.name != "crun" {
			return nil
		}
		p.faults[kind]++
		return f.agent.restart()
	case outOfDescriptors:
		if p.name == "starved" {
			f.limitDescriptors(p, f.find(p, workerName))
		}
	case outOfMemory:
		if p.name == "starved" {
			f.limitMemory(p, f.find(p, workerName))
		}
	case readOnlySidecar:
		if p.name == "starved" {
			return f.closeSidecar(p)
		}
	}
	return nil
}

// find returns the processes of that name of a place's supervisor. A place with several supervisors
// has those that are of no other place. A container does not start if its first worker is killed:
// so the result is empty if no task is there.
func (f *faults) find(p *place, name string) (pids []int) {
	if p.id != "" {
		return find(name, p.id)
	}
	for _, process := range processes() {
		if len(process.args) == 2 && process.args[0] == name && !slices.ContainsFunc(f.places, func(p *place) bool { return p.id == process.args[1] }) {
			pids = append(pids, process.pid)
		}
	}
	if len(below(p.top(), isInBuild)) == 0 {
		return nil
	}
	return pids
}

// one returns one of the processes, or none.
func (f *faults) one(pids []int) []int {
	if len(pids) == 0 {
		return nil
	}
	n := f.rand.IntN(len(pids))
	return pids[n : n+1]
}

// signal sends a signal to all victims, and counts that if the last one was there.
func (f *faults) signal(p *place, kind faultKind, s unix.Signal, victims []int) {
	var err error = unix.ESRCH
	for _, pid := range victims {
		err = unix.Kill(pid, s)
	}
	if err == nil {
		p.faults[kind]++
	}
}

// limitDescriptors lets the victims open only few more files for a while.
func (f *faults) limitDescriptors(p *place, victims []int) {
	for _, pid := range victims {
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		var old unix.Rlimit
		if err != nil || unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &old) != nil {
			continue // it has ended
		}
		few := unix.Rlimit{Cur: uint64(len(open) + f.rand.IntN(4)), Max: old.Max}
		if unix.Prlimit(pid, unix.RLIMIT_NOFILE, &few, nil) != nil {
			continue
		}
		p.faults[outOfDescriptors]++
		time.Sleep(rand.N(maxStop))
		_ = unix.Prlimit(pid, unix.RLIMIT_NOFILE, &old, nil) // it may have ended
	}
}

// limitMemory lets the victims allocate only little more memory: they die soon, of that.
func (f *faults) limitMemory(p *place, victims []int) {
	for _, pid := range victims {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		var old unix.Rlimit
		if err != nil || unix.Prlimit(pid, unix.RLIMIT_DATA, nil, &old) != nil {
			continue // it has ended
		}
		little := unix.Rlimit{Cur: uint64(number(status, "VmData")+f.rand.IntN(256)) << 10, Max: old.Max}
		if unix.Prlimit(pid, unix.RLIMIT_DATA, &little, nil) == nil {
			p.faults[outOfMemory]++
		}
	}
}

// closeSidecar makes the directory of the sidecar read-only for a while.
func (f *faults) closeSidecar(p *place) error {
	if err := os.Chmod(p.sidecar, 0o500); err != nil {
		return err
	}
	p.faults[readOnlySidecar]++
	time.Sleep(rand.N(maxStop))
	return os.Chmod(p.sidecar, 0o700)
}

// stop stops the victims for a while.
func (f *faults) stop(p *place, kind faultKind, victims []int) {
	f.signal(p, kind, unix.SIGSTOP, victims)
	time.Sleep(rand.N(maxStop))
	for _, pid := range victims {
		_ = unix.Kill(pid, unix.SIGCONT) // it may have ended
	}
}
