package session

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// bury removes what is left of a session whose supervisor was killed: its processes, which
// nobody can serve any more, and its directory. It returns the ids of the containers that were
// running.
func (s *sessions) bury(name string) (containers []string, err error) {
	dead, err := s.readDeath(name)
	if err != nil {
		fmt.Fprintf(os.Stderr, "subuidless: %v: what was in session %s is unknown\n", err, name)
	} else if dead != nil {
		fmt.Fprint(os.Stderr, dead.Report)
		containers = dead.Containers
	}
	r, ok, err := s.readRecord(name)
	if err != nil {
		fmt.Fprintf(os.Stderr, "subuidless: %v: removing what is left of session %s\n", err, name)
	}
	if !ok {
		return containers, s.remove(name)
	}
	m, err := findMembers(r.UserNS)
	if err != nil {
		return nil, err
	}
	if dead == nil && len(m.processes) > 0 {
		fmt.Fprint(os.Stderr, m.epitaph(name))
	}
	if err := kill(r.UserNS); err != nil {
		return nil, fmt.Errorf("the supervisor of session %s was killed, and %w", name, err)
	}
	return slices.AppendSeq(containers, maps.Keys(m.byID())), errors.Join(noteExits(m), s.remove(name))
}

// epitaph says that the processes of a session end.
func (m *members) epitaph(name string) string {
	return fmt.Sprintf("subuidless: the supervisor of session %s was killed: ending the %s that it left behind%s\n",
		name, count(len(m.processes), "process", "processes"), list(m.containers(), ", with the containers "))
}

// noteExits writes the exit statuses of containers whose monitors have been killed together
// with them, as these would have done: otherwise, podman believes that they are running.
func noteExits(dead *members) error {
	for i := range dead.processes {
		c, ok := dead.processes[i].monitor()
		if !ok || c.exitDir == "" {
			continue
		}
		err := os.WriteFile(filepath.Join(c.exitDir, c.id), []byte(strconv.Itoa(exitKilled)), 0o600)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // podman has removed the container
			return fmt.Errorf("exit status of container %s: %w", c.name, err)
		}
	}
	return nil
}

// exitKilled is the exit status of a process that SIGKILL has ended.
const exitKilled = 128 + int(unix.SIGKILL)
