package session

import (
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/rootless-containers/subuidless/internal/supervisor"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// Info describes a session.
type Info struct {
	Name       string
	Keeper     int           // process id of the keeper; 0: it was killed
	Silent     bool          // the keeper does not answer
	Started    time.Time     // zero if the keeper was killed, or does not answer
	Containers []string      // names of the containers that are running
	Processes  int           // all processes in the session
	Idle       time.Duration // how long there has been none
	Linger     time.Duration // how long it stays when there is none
}

// List returns all sessions of the user.
func List() ([]Info, error) {
	s, err := openSessions()
	if err != nil {
		return nil, err
	}
	defer s.close()
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	var infos []Info
	for _, name := range names {
		info, err := s.info(name)
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

func (s *sessions) info(name string) (Info, error) {
	info := Info{Name: name}
	var userNS uint64
	entry, err := s.enter(name)
	var silent *supervisor.Silent
	if errors.As(err, &silent) {
		info.Keeper, info.Silent = silent.Keeper, true
	}
	switch {
	case errors.Is(err, supervisor.ErrNoKeeper) || info.Silent:
		r, ok, err := s.readRecord(name)
		if err != nil {
			fmt.Fprintf(os.Stderr, "subuidless: %v: what is in session %s is unknown (subuidless session stop %[2]s removes it)\n", err, name)
		}
		if !ok {
			return info, nil
		}
		userNS = r.UserNS
	case err != nil:
		return info, err
	default:
		defer entry.Close()
		info.Keeper, info.Idle = entry.Keeper, entry.Idle
		info.Started, info.Linger = entry.Config.Session.Started, entry.Config.Session.Linger
		if userNS, err = userns.Inode(int(entry.UserNS.Fd())); err != nil {
			return info, err
		}
	}
	m, err := findMembers(userNS)
	if err != nil {
		return info, err
	}
	info.Containers, info.Processes = m.containers(), len(m.processes)
	return info, nil
}

// Print writes a table of sessions.
func Print(w io.Writer, infos []Info) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "NAME\tPID\tSTARTED\tCONTAINERS\tPROCESSES\tSTATE")
	for _, i := range infos {
		pid, started := "-", "-"
		if i.Keeper != 0 {
			pid = fmt.Sprint(i.Keeper)
		}
		if !i.Started.IsZero() {
			started = i.Started.Format(time.DateTime)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%s\n", i.Name, pid, started, len(i.Containers), i.Processes, i.state())
	}
	return t.Flush()
}

// state returns the state of a session in words.
func (i *Info) state() string {
	switch {
	case i.Keeper == 0:
		return "dead (the supervisor was killed)"
	case i.Silent:
		return fmt.Sprintf("hangs (the supervisor does not answer; kill -KILL %d has another one take its place)", i.Keeper)
	case i.Idle > 0:
		return fmt.Sprintf("idle, ends in %v", max(i.Linger-i.Idle, 0).Round(time.Second))
	}
	return "active"
}

// stoppedPatience is how long a container that has just been stopped may take to end.
const stoppedPatience = time.Second

// stopping returns how long Stop waits for the end of containers that have just been stopped: if no
// process of theirs is left, only for their monitors, which then end.
func (m *members) stopping() time.Duration {
	if len(m.inContainers(true)) > 0 {
		return stoppedPatience
	}
	return monitorPatience
}

// Stop ends a session with all its processes. If containers are running, it does that only
// with force: they get SIGTERM, and ten seconds to end.
func Stop(name string, force bool) error {
	if err := checkName(name); err != nil {
		return err
	}
	s, err := openSessions()
	if err != nil {
		return err
	}
	defer s.close()
	if _, err := os.Stat(s.dir(name)); err != nil {
		return fmt.Errorf("there is no session %s (subuidless session ls lists them)", name)
	}
	entry, err := s.enter(name)
	if errors.Is(err, supervisor.ErrNoKeeper) {
		_, err := s.bury(name)
		return err
	}
	if err != nil {
		return err
	}
	defer entry.Close()
	userNS, err := userns.Inode(int(entry.UserNS.Fd()))
	if err != nil {
		return err
	}
	m, err := findMembers(userNS)
	for start := time.Now(); err == nil && !force && len(m.byID()) > 0 && time.Since(start) < m.stopping(); {
		time.Sleep(pollEvery)
		m, err = findMembers(userNS)
	}
	if err != nil {
		return err
	}
	if running := m.containers(); len(running) > 0 && !force {
		return fmt.Errorf("session %s has running containers%s: stop them first, or end them with --force", name, list(running, ": "))
	}
	if err := endGently(userNS); err != nil {
		return fmt.Errorf("session %s: %w", name, err)
	}
	if err := endSession(entry); err != nil {
		return fmt.Errorf("session %s: %w", name, err)
	}
	return s.remove(name)
}

// endSession ends a session whose processes have ended: the keeper notices that a little later.
func endSession(entry *supervisor.Entry) error {
	for end := time.Now().Add(killPatience); ; time.Sleep(pollEvery) {
		err := entry.End()
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}
