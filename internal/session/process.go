package session

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/supervisor"
	"github.com/rootless-containers/subuidless/internal/sys"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// process is a process in a session.
type process struct {
	pid  int
	args []string
}

// isWorker reports whether it is a worker of the supervisor.
func (p *process) isWorker() bool { return len(p.args) > 0 && p.args[0] == supervisor.WorkerName }

// isSupervisor reports whether it is a process of the supervisor: besides the worker, a keeper that a
// worker has started is in the session's user namespace, and what that keeper starts.
func (p *process) isSupervisor() bool { return len(p.args) > 0 && supervisor.IsProcess(p.args[0]) }

// monitor is what the arguments of a conmon say. Each container of podman has one, which
// starts with it and ends after it. Those of commands that exec has started in a container may
// end long after that, and are of no interest here.
type monitor struct {
	id, name string // of the container
	exitDir  string // where it writes exit statuses
}

// monitor returns the monitor that the process is. Ok is false if it is none.
func (p *process) monitor() (m monitor, ok bool) {
	if len(p.args) == 0 || filepath.Base(p.args[0]) != "conmon" {
		return m, false
	}
	unique := "" // id of the container, or of the command
	for i := 1; i+1 < len(p.args); i++ {
		switch value := p.args[i+1]; p.args[i] {
		case "-c", "--cid":
			m.id = value
		case "-n", "--name":
			m.name = value
		case "-u", "--cuuid":
			unique = value
		case "--exit-dir":
			m.exitDir = value
		}
	}
	return m, m.id != "" && unique == m.id
}

// members are the processes of a session.
type members struct {
	processes []process // without the supervisor's
	worker    bool      // there is one
}

// byID returns the names of the containers that are running, by their ids.
func (m *members) byID() map[string]string {
	names := map[string]string{}
	for i := range m.processes {
		if c, ok := m.processes[i].monitor(); ok {
			names[c.id] = c.name
		}
	}
	return names
}

// containers returns the names of the containers that are running, in alphabetical order.
func (m *members) containers() []string {
	var names []string
	for id, name := range m.byID() {
		if name == "" {
			name = id[:min(len(id), 12)]
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// findMembers returns the processes in the user namespace with this inode number, and in
// those that have been created in it.
func findMembers(userNS uint64) (*members, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	known := map[uint64]uint64{userNS: userNS}
	m := new(members)
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || userns.Ancestor(dir, known) != userNS {
			continue
		}
		if _, err := os.Readlink(filepath.Join(dir, "exe")); err != nil {
			continue // it has ended, and its parent has not waited for it
		}
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil {
			continue // it has just ended
		}
		p := process{pid: pid, args: strings.Split(string(bytes.TrimRight(cmdline, "\x00")), "\x00")}
		switch {
		case p.isWorker():
			m.worker = true
		case p.isSupervisor():
		default:
			m.processes = append(m.processes, p)
		}
	}
	return m, nil
}

// signal sends a signal to processes in a user namespace, except to those that have ended.
func signal(list []process, userNS uint64, s unix.Signal) error {
	for i := range list {
		member := func() bool {
			return userns.Ancestor(fmt.Sprintf("/proc/%d", list[i].pid), map[uint64]uint64{userNS: userNS}) == userNS
		}
		if e := sys.SignalIf(list[i].pid, s, member); e != 0 && e != unix.ESRCH {
			return fmt.Errorf("signal to process %d (%s): %w", list[i].pid, strings.Join(list[i].args, " "), e)
		}
	}
	return nil
}

// pollEvery is how often the processes of a session are counted while they end.
const pollEvery = 20 * time.Millisecond

// The times that processes get to end: after SIGTERM, as much as container engines give
// containers; for the monitors of killed containers, to note the end and clean up; and after
// SIGKILL.
const (
	termPatience    = 10 * time.Second
	monitorPatience = 30 * time.Second
	killPatience    = 10 * time.Second
)

// endGently ends all processes of the session: with SIGTERM, and then with SIGKILL, the
// containers before their monitors. So the engine knows that the containers have ended.
func endGently(userNS uint64) error {
	for _, step := range []struct {
		inContainers bool
		signal       unix.Signal
		patience     time.Duration
		done         func(*members) bool
	}{
		// The monitors pass it on.
		{false, unix.SIGTERM, termPatience, func(m *members) bool { return len(m.processes) == 0 }},
		{true, unix.SIGKILL, monitorPatience, func(m *members) bool { return len(m.byID()) == 0 }},
	} {
		m, err := findMembers(userNS)
		if err != nil {
			return err
		}
		if err := signal(m.inContainers(step.inContainers), userNS, step.signal); err != nil {
			return err
		}
		for end := time.Now().Add(step.patience); !step.done(m) && time.Now().Before(end); {
			time.Sleep(pollEvery)
			if m, err = findMembers(userNS); err != nil {
				return err
			}
		}
	}
	return kill(userNS)
}

// kill ends all processes of the session with SIGKILL.
func kill(userNS uint64) error {
	for end := time.Now().Add(killPatience); ; time.Sleep(pollEvery) {
		m, err := findMembers(userNS)
		if err != nil || len(m.processes) == 0 {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("process %d (%s) does not end", m.processes[0].pid, strings.Join(m.processes[0].args, " "))
		}
		if err := signal(m.processes, userNS, unix.SIGKILL); err != nil {
			return err
		}
	}
}

// inContainers returns the processes that are in a container (want), which have a PID
// namespace of their own, or those that are not: commands of the engine, and the monitors of
// containers.
func (m *members) inContainers(want bool) []process {
	own, err := os.Readlink("/proc/self/ns/pid")
	return slices.DeleteFunc(slices.Clone(m.processes), func(p process) bool {
		ns, e := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", p.pid))
		inside := err == nil && e == nil && ns != own
		return inside != want
	})
}
