// Package top shows the containers whose supervisors run on this machine, and what they do.
//
// Data flows one way: a sample of the counters of all supervisors, the report of two samples, and
// its text, JSON or screen.
package top

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
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
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	s := &Sample{Time: time.Now()}
	var others []string
	owners := map[uint64]uint64{} // user namespace of a container -> its keeper
	for _, dir := range dirs {
		name, id := arguments(dir)
		switch name {
		case supervisor.WorkerName:
		case supervisor.KeeperName:
			state, namespaces, err := examine(dir, id)
			if errors.Is(err, statistics.ErrNoCounters) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
				continue // it is just starting or ending, of another version, or of another user
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", id, err)
			}
			for _, ns := range namespaces {
				owners[ns] = uint64(state.Keeper)
			}
			s.Containers = append(s.Containers, *state)
		default:
			others = append(others, dir)
		}
	}
	if len(s.Containers) == 0 {
		return s, nil
	}
	processes := countProcesses(others, owners)
	for i := range s.Containers {
		s.Containers[i].Processes = processes[uint64(s.Containers[i].Keeper)]
	}
	return s, nil
}

// arguments returns the first two arguments of a process, or empty strings.
func arguments(dir string) (first, second string) {
	cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil {
		return "", "" // it has just ended
	}
	name, rest, _ := bytes.Cut(cmdline, []byte{0})
	arg, _, _ := bytes.Cut(rest, []byte{0})
	return string(name), printable(string(arg))
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

// examine returns the state of the container of a keeper, and the user namespaces of which the
// keeper has descriptors, by inode number.
func examine(dir, id string) (*State, []uint64, error) {
	pid, err := strconv.Atoi(filepath.Base(dir))
	if err != nil {
		return nil, nil, err
	}
	r, err := statistics.Open(pid)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	own, err := os.Readlink("/proc/self/ns/user")
	if err != nil {
		return nil, nil, err
	}
	files, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return nil, nil, err
	}
	var namespaces []uint64
	for _, f := range files {
		target, err := os.Readlink(filepath.Join(dir, "fd", f.Name()))
		number, isNamespace := strings.CutPrefix(target, "user:[")
		if err != nil || !isNamespace || target == own {
			continue
		}
		inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
		if err != nil {
			return nil, nil, fmt.Errorf("%s/fd/%s: %w", dir, f.Name(), err)
		}
		namespaces = append(namespaces, inode)
	}
	return &State{ID: id, Keeper: pid, Snapshot: r.Read()}, namespaces, nil
}

// countProcesses returns how many of the processes are in the user namespaces of containers, by the
// container's number in owners, which it adds further namespaces to.
func countProcesses(dirs []string, owners map[uint64]uint64) map[uint64]int {
	counts := map[uint64]int{}
	for _, dir := range dirs {
		if _, err := os.Readlink(filepath.Join(dir, "exe")); err != nil {
			continue // a thread of the kernel, another user's, or a process that has ended
		}
		counts[userns.Ancestor(dir, owners)]++
	}
	return counts
}
