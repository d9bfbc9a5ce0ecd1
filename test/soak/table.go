package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// use is what the processes outside of a container use: front or runtime, keeper, worker, standby, and
// agent with its deputy.
type use struct {
	memory, descriptors, threads int // memory is private, in KiB
}

// table is the result.
type table struct {
	options
	started   time.Time
	places    []*place
	uses      []map[*place]use // at the beginning, after each part, the last one at the end
	processes []process        // left
	files     []string         // left
}

// measure measures all places, undisturbed and complete.
func (t *table) measure(ctx context.Context) error {
	pause(ctx, settle)
	if err := awaitStandbys(ctx, t.places); err != nil {
		return err
	}
	uses := map[*place]use{}
	t.uses = append(t.uses, uses)
	for _, p := range t.places {
		if p.id == "" {
			continue // its supervisors come and go
		}
		pids := slices.Concat(find(keeperName, p.id), find(workerName, p.id), find(standbyName, p.id), []int{p.cmd.Process.Pid})
		if p.agent != nil {
			pids = append(append(pids, p.agent.cmd.Process.Pid), p.agent.deputies()...)
		}
		var sum use
		for _, pid := range pids {
			dir := fmt.Sprintf("/proc/%d", pid)
			// Only what may be read of a process that is not dumpable: the size of the directory fd
			// is the number of descriptors (Linux 6.2). The process may have ended.
			status, _ := os.ReadFile(filepath.Join(dir, "status"))
			sum.memory += number(status, "RssAnon")
			sum.threads += number(status, "Threads")
			if fds, err := os.Stat(filepath.Join(dir, "fd")); err == nil {
				sum.descriptors += int(fds.Size())
			}
		}
		uses[p] = sum
	}
	return nil
}

// leftovers notes which processes and files are left. A supervisor ends soon after the last task. A
// process is not found while it executes a program, or while its parent ends: so there must be none
// twice.
func (t *table) leftovers() error {
	end := time.Now().Add(patience)
	for none := 0; none < 2 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if none++; len(processes()) > 0 {
			none = 0
		}
	}
	t.processes = processes()
	killAll()
	for _, dir := range []string{"tmp", "run", filepath.Join("files", "exec"), filepath.Join("files", "rootfs", "tmp"), filepath.Join("files", "bundle", "rootfs", "tmp"), filepath.Join("files", "build"), filepath.Join("files", "podman", "tmp"), filepath.Join("podman", "subuidless")} {
		err := filepath.WalkDir(filepath.Join(t.dir, dir), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && !d.IsDir() {
				t.files = append(t.files, path)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// print prints the table.
func (t *table) print(w io.Writer) {
	var uname unix.Utsname
	_ = unix.Uname(&uname) // it cannot fail
	fmt.Fprintf(w, "%s, Linux %s, seed %d, %v\n\n", t.started.Format(time.DateOnly), unix.ByteSliceToString(uname.Release[:]), t.seed, t.duration)
	tab := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	row := func(name string, sum any, cell func(*place) any) {
		fmt.Fprint(tab, name, "\t")
		for _, p := range t.places {
			fmt.Fprint(tab, cell(p), "\t")
		}
		fmt.Fprintln(tab, sum, "\t")
	}
	count := func(name string, get func(*place) int, applies func(*place) bool) {
		sum := 0
		for _, p := range t.places {
			sum += get(p)
		}
		row(name, sum, func(p *place) any {
			if !applies(p) {
				return ""
			}
			return get(p)
		})
	}
	always := func(*place) bool { return true }
	row("", "all", func(p *place) any { return p.name })
	for kind := range faultKinds {
		count(kind.String(), func(p *place) int { return p.faults[kind] }, func(p *place) bool { return p.suffers(kind) })
	}
	count("calls checked", func(p *place) int { return p.total().Calls }, always)
	count("wrong answers", func(p *place) int { return p.total().Wrong }, always)
	count("lost owners", func(p *place) int { return p.total().Lost }, always)
	count("hung", func(p *place) int { return p.hung }, always)
	change := func(get func(use) int) func(p *place) any {
		return func(p *place) any {
			if p.id == "" {
				return ""
			}
			var values []string
			for _, uses := range t.uses {
				values = append(values, strconv.Itoa(get(uses[p])))
			}
			return strings.Join(values, " → ")
		}
	}
	row("memory (KiB)", "", change(func(u use) int { return u.memory }))
	row("descriptors", "", change(func(u use) int { return u.descriptors }))
	row("threads", "", change(func(u use) int { return u.threads }))
	tab.Flush()
	fmt.Fprintf(w, "\nprocesses left: %d, files left: %d\n", len(t.processes), len(t.files))
}

// verdict returns an error if anything in the table is wrong.
func (t *table) verdict() error {
	var err error
	for _, p := range t.places {
		if sum := p.total(); sum.Wrong > 0 || sum.Lost > 0 || !sum.Done {
			err = errors.Join(err, fmt.Errorf("%s: %d wrong answers, %d lost owners, finished: %v", p.name, sum.Wrong, sum.Lost, sum.Done))
		}
	}
	for _, p := range t.processes {
		err = errors.Join(err, fmt.Errorf("process %d is left: %s", p.pid, strings.Join(p.args, " ")))
	}
	if len(t.files) > 0 {
		err = errors.Join(err, fmt.Errorf("files are left: %s", strings.Join(t.files, " ")))
	}
	return err
}
