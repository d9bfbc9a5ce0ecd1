// Package top shows the containers whose supervisors run on this machine, and what they do.
//
// Data flows one way: a sample of the counters of all supervisors, the report of two samples, and
// its text, JSON or screen.
package top

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rootless-containers/subuidless/internal/statistics"
	"github.com/rootless-containers/subuidless/internal/supervisor"
	"github.com/rootless-containers/subuidless/internal/userns"
)

// Sample is the state of all containers at one time.
type Sample struct {
	Time       time.Time
	Containers []State
	Silent     []*statistics.Silent // keepers of further containers
}

// State is the state of one container.
type State struct {
	ID        string // that of the supervisor's configuration
	Keeper    int    // process id
	Processes int    // in the container's user namespaces
	statistics.Snapshot
}

// Take takes a sample of the containers of the caller, or if that is root, of all.
func Take() (*Sample, error) {
	readers, silent, err := statistics.OpenAll()
	if err != nil {
		return nil, err
	}
	for _, k := range silent {
		k.ID = printable(k.ID)
	}
	s := &Sample{Time: time.Now(), Silent: silent}
	own, err := ownNamespace()
	if err != nil {
		return nil, err
	}
	owners := map[uint64]uint64{own: 0} // user namespace of a container -> its keeper
	for _, r := range readers {
		s.Containers = append(s.Containers, State{ID: printable(r.ID), Keeper: r.Keeper, Snapshot: r.Read()})
		for _, ns := range r.Namespaces {
			if ns != own {
				owners[ns] = uint64(r.Keeper)
			}
		}
		r.Close()
	}
	if len(s.Containers) == 0 {
		return s, nil
	}
	processes, err := countProcesses(owners)
	for i := range s.Containers {
		s.Containers[i].Processes = processes[uint64(s.Containers[i].Keeper)]
	}
	return s, err
}

// ownNamespace returns the inode number of the caller's user namespace.
func ownNamespace() (uint64, error) {
	f, err := os.Open("/proc/self/ns/user")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return userns.Inode(int(f.Fd()))
}

// printable replaces what a terminal might act on: root sees arguments of other users.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// countProcesses returns how many processes are in the user namespaces of containers, by the
// container's number in owners, which it adds further namespaces to. Supervisors do not count.
func countProcesses(owners map[uint64]uint64) (map[uint64]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	counts := map[uint64]int{}
	for _, dir := range dirs {
		if _, err := os.Readlink(filepath.Join(dir, "exe")); err != nil {
			continue // a thread of the kernel, another user's, or a process that has ended
		}
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if name, _, _ := bytes.Cut(cmdline, []byte{0}); err != nil || supervisor.IsProcess(string(name)) {
			continue
		}
		counts[userns.Ancestor(dir, owners)]++
	}
	return counts, nil
}
