package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// UndertakerMain is supervisor.UndertakerMain, which ends sessions, too: it notes what the next command
// has to know.
func UndertakerMain() int { return supervisor.UndertakerMain(noteDeath) }

// death is what the undertaker notes of a session.
type death struct {
	Containers []string // the ids of those that were running
	Report     string   // for the user
}

func (s *sessions) deathPath(name string) string { return filepath.Join(s.dir(name), "death.json") }

// noteDeath notes that the processes in this user namespace, of the session of that name, are about to
// be killed, and writes the exit statuses of containers.
func noteDeath(name string, userNS uint64) error {
	s, err := openSessions()
	if err != nil {
		return err
	}
	defer s.close()
	r, ok, err := s.readRecord(name)
	if err != nil || !ok || r.UserNS != userNS {
		return err // there is nothing to note: a command has found the dead session before
	}
	m, err := findMembers(userNS)
	if err != nil || len(m.processes) == 0 {
		return err
	}
	b, err := json.Marshal(death{Containers: slices.Sorted(maps.Keys(m.byID())), Report: m.epitaph(name)})
	if err != nil {
		return err
	}
	path := s.deathPath(name)
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	return errors.Join(os.Rename(path+".new", path), noteExits(m))
}

// readDeath returns what the undertaker has noted of a session, or nil.
func (s *sessions) readDeath(name string) (*death, error) {
	b, err := os.ReadFile(s.deathPath(name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d := new(death)
	if err := json.Unmarshal(b, d); err != nil {
		return nil, fmt.Errorf("%s: %w", s.deathPath(name), err)
	}
	return d, nil
}
