package running

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rootless-containers/subuidless/internal/image/storedir"
	"github.com/rootless-containers/subuidless/internal/launch"
)

// Process is a process of a container, as podman top prints it.
type Process struct {
	User    string
	PID     int // in the container
	PPID    int
	CPU     string // percent
	Elapsed time.Duration
	TTY     string
	Time    time.Duration
	Command string
}

// Top returns the processes of a container that runs.
func Top(c *storedir.Container) ([]Process, error) {
	if err := c.CheckMachine(); err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	read := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(r) // what is missing is an error of the JSON
		read <- b
	}()
	o := enterOptions(c)
	o.Args, o.User, o.Workdir, o.Stdio = []string{launch.TopName}, "0", "/", []*os.File{null, w, os.Stderr}
	status, err := launch.Enter(o)
	w.Close()
	b := <-read
	if err != nil {
		return nil, explainNotRunning(c, err)
	}
	if status != 0 {
		return nil, fmt.Errorf("container %s: listing its processes has failed with status %d", c.Name, status)
	}
	var all []launch.Process
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("container %s: listing its processes: %w", c.Name, err)
	}
	list := []Process{}
	for _, p := range all {
		cpu := 0.0
		if p.Elapsed > 0 {
			cpu = 100 * float64(p.Time) / float64(p.Elapsed)
		}
		list = append(list, Process{
			User: p.User, PID: p.PID, PPID: p.PPID, CPU: fmt.Sprintf("%.3f", cpu), Elapsed: p.Elapsed.Round(time.Millisecond), TTY: p.TTY,
			Time: p.Time, Command: p.Command,
		})
	}
	return list, nil
}
