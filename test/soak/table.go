package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// use is what the processes outside of a container use: front, runtime, keeper, worker, and agent.
type use struct {
	memory, descriptors, threads int // memory is private, in KiB
}

// table is the result.
type table struct {
	options
	started       time.Time
	places        []*place
	agent         *agent
	before, after map[*place]use
	processes     []process // left
	files         []string  // left
}

// measure measures all places.
func (t *table) measure(uses *map[*place]use) {
	*uses = map[*place]use{}
	for _, p := range t.places {
		if p.id == "" {
			continue // its supervisors come and go
		}
		pids := append(find(keeperName, p.id), find(workerName, p.id)...)
		pids = append(pids, p.cmd.Process.Pid)
		if p.name == "crun" && t.agent != nil {
			pids = append(pids, t.agent.cmd.Process.Pid)
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
		(*uses)[p] = sum
	}
}

// leftovers notes which processes and files are left. A supervisor ends soon after the last task.
func (t *table) leftovers() error {
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		t.processes = processes()
		if len(t.processes) == 0 || time.Now().After(end) {
			break
		}
	}
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
	row := func(name string, cell func(*place) any) {
		fmt.Fprint(tab, name, "\t")
		for _, p := range t.places {
			fmt.Fprint(tab, cell(p), "\t")
		}
		fmt.Fprintln(tab)
	}
	row("", func(p *place) any { return p.name })
	for kind := range faultKinds {
		row(kind.String(), func(p *place) any { return p.faults[kind] })
	}
	row("calls checked", func(p *place) any { return p.total().Calls })
	row("wrong answers", func(p *place) any { return p.total().Wrong })
	row("lost owners", func(p *place) any { return p.total().Lost })
	row("hung", func(p *place) any { return p.hung })
	change := func(get func(use) int) func(p *place) any {
		return func(p *place) any {
			if p.id == "" {
				return ""
			}
			return fmt.Sprintf("%d → %d", get(t.before[p]), get(t.after[p]))
		}
	}
	row("memory (KiB)", change(func(u use) int { return u.memory }))
	row("descriptors", change(func(u use) int { return u.descriptors }))
	row("threads", change(func(u use) int { return u.threads }))
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
