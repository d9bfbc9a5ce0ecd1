package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/test/forked"
)

// faultKind is what happens to a container.
type faultKind int

const (
	workerKilled faultKind = iota
	keeperKilled
	bothKilled    // in the same instant
	standbyKilled // which takes over if the next ones are killed
	threeKilled   // witness, keeper and worker, in the same instant
	workerStopped
	keeperStopped
	witnessStopped
	taskKilled
	taskStopped
	agentKilled
	deputyKilled     // while a runtime is talking to the agent
	outOfDescriptors // the worker is
	outOfMemory
	readOnlySidecar
	faultKinds
)

func (k faultKind) String() string {
	return [...]string{
		workerKilled: "worker killed", keeperKilled: "keeper killed", bothKilled: "both killed",
		standbyKilled: "standby killed", threeKilled: "front, keeper, worker",
		workerStopped: "worker stopped", keeperStopped: "keeper stopped", witnessStopped: "front stopped",
		taskKilled: "task killed", taskStopped: "task stopped", agentKilled: "agent killed", deputyKilled: "deputy killed",
		outOfDescriptors: "out of descriptors", outOfMemory: "out of memory", readOnlySidecar: "read-only sidecar",
	}[k]
}

// faults makes faults happen.
type faults struct {
	rand   *rand.Rand
	places []*place
}

// maxPause is the longest time between two faults, and maxStop the longest one for which a process
// is stopped.
const (
	maxPause = 100 * time.Millisecond
	maxStop  = 200 * time.Millisecond
)

// maxExec is about how long a runtime takes to start a process in a container.
const maxExec = 100 * time.Millisecond

// victims returns the places to which each kind of fault can happen.
func (f *faults) victims() (victims [faultKinds][]*place) {
	for kind := range faultKinds {
		for _, p := range f.places {
			if p.suffers(kind) {
				victims[kind] = append(victims[kind], p)
			}
		}
	}
	return victims
}

// run makes faults happen for a time. It is an error if a place ends or hangs.
func (f *faults) run(ctx context.Context, d time.Duration) error {
	victims := f.victims()
	for end := time.Now().Add(d); time.Now().Before(end) && ctx.Err() == nil; {
		pause(ctx, rand.N(maxPause))
		kind := faultKind(f.rand.IntN(int(faultKinds)))
		if len(victims[kind]) == 0 { // this machine has no crun
			continue
		}
		p := victims[kind][f.rand.IntN(len(victims[kind]))]
		if err := f.do(ctx, p, kind); err != nil {
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
		if p.agent != nil {
			pids = append(pids, p.agent.cmd.Process.Pid)
		}
	}
	return pids
}

// do makes a fault happen, unless its victim is just being replaced.
func (f *faults) do(ctx context.Context, p *place, kind faultKind) error {
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
		f.signal(p, kind, unix.SIGKILL, f.shuffle(append(keeper, worker...)))
	case standbyKilled:
		f.signal(p, kind, unix.SIGKILL, p.standbys())
	case threeKilled:
		return f.killThree(p)
	case workerStopped:
		f.stop(p, kind, f.find(p, workerName))
	case keeperStopped:
		f.stop(p, kind, f.find(p, keeperName))
	case witnessStopped:
		f.stop(p, kind, p.witnesses())
	case taskKilled:
		f.signal(p, kind, unix.SIGKILL, f.one(below(p.top(), isTask)))
	case taskStopped:
		f.stop(p, kind, f.one(below(p.top(), isJob)))
	case agentKilled:
		return f.killAgent(p)
	case deputyKilled:
		return f.killDeputy(ctx, p)
	case outOfDescriptors:
		f.limitDescriptors(p, f.find(p, workerName))
	case outOfMemory:
		f.limitMemory(p, f.find(p, workerName))
	case readOnlySidecar:
		return f.closeSidecar(p)
	}
	return nil
}

// killThree kills everything but the standby, which then takes the place of the witness.
func (f *faults) killThree(p *place) error {
	victims := slices.Concat(f.find(p, workerName), f.find(p, keeperName), p.witnesses())
	standby := p.readyStandby()
	if standby == 0 || len(victims) != 3 {
		return nil
	}
	if p.watchedBy == 0 && p.agent == nil {
		p.frontKilled = true
	}
	killsAgent := p.watchedBy == 0 && p.agent != nil
	// Stopped ones cannot start another one when the first of them dies: then, the standby would not
	// become the witness. The kernel continues the children of one that ends, so they are killed before.
	for _, pid := range victims {
		_ = unix.Kill(pid, unix.SIGSTOP) // it may have ended
	}
	f.signal(p, threeKilled, unix.SIGKILL, childrenFirst(victims))
	p.watchedBy = standby
	if killsAgent {
		return p.agent.restart()
	}
	return nil
}

// killAgent kills the agent, and the standby that has taken its place. The next agent becomes the
// witness, unless the container's standby does, because worker and keeper have been killed just before.
func (f *faults) killAgent(p *place) error {
	standby := p.readyStandby()
	if standby == 0 {
		return nil
	}
	victims := []int{p.agent.cmd.Process.Pid}
	if p.watchedBy != 0 {
		victims = append(victims, p.watchedBy)
	}
	f.signal(p, agentKilled, unix.SIGKILL, victims)
	if err := awaitEnd(victims); err != nil {
		return err
	}
	if err := p.agent.restart(); err != nil {
		return err
	}
	p.watchedBy = 0
	for end := time.Now().Add(patience); !p.agent.watching(); time.Sleep(10 * time.Millisecond) {
		if p.watchedBy = standby; p.readyStandby() != 0 { // it has one itself
			return nil
		}
		if p.watchedBy = 0; time.Now().After(end) {
			return fmt.Errorf("neither the new agent nor the standby is the witness\n%s", p.agent.said())
		}
	}
	return nil
}

// killDeputy kills the agent's deputy while a runtime starts a process in the container, which must
// not notice it.
func (f *faults) killDeputy(ctx context.Context, p *place) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "crun", "--cgroup-manager=disabled", "exec", p.id, "/bin/soak", onceProgram, "/tmp/once")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return err
	}
	time.Sleep(rand.N(maxExec))
	f.signal(p, deputyKilled, unix.SIGKILL, p.agent.deputies())
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%v: %w\n%s%s", cmd.Args, err, out.Bytes(), p.agent.said())
	}
	return nil
}

// shuffle shuffles processes.
func (f *faults) shuffle(pids []int) []int {
	f.rand.Shuffle(len(pids), func(i, j int) { pids[i], pids[j] = pids[j], pids[i] })
	return pids
}

// find returns the processes of that name of a place's supervisor. A place with several supervisors
// has those that are of no other place.
func (f *faults) find(p *place, name string) (pids []int) {
	if p.id != "" {
		return find(name, p.id)
	}
	for _, process := range processes() {
		if len(process.args) == 2 && process.args[0] == name && forked.HasExecuted(process.pid) && !slices.ContainsFunc(f.places, func(p *place) bool { return p.id == process.args[1] }) {
			pids = append(pids, process.pid)
		}
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
