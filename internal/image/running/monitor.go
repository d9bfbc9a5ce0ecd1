package running

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/storedir"
	"github.com/rootless-containers/subuidless/internal/launch"
	"github.com/rootless-containers/subuidless/internal/program"
)

// MonitorName is argv[0] of the monitor: a process with this name must call MonitorMain.
const MonitorName = "subuidless-monitor"

// monitorReport is the descriptor of a pipe to the monitor's parent. The monitor inherits it besides
// the standard streams and the lock (program.Inherited).
const monitorReport = 4

// report is what the monitor says about the start of the container.
type report struct {
	Status int    // the exit status, if it has not started
	Error  string // why
}

// Detach runs a container in the background: a monitor gets the lock, which this process gives
// up. It returns when the container has started, or with the exit status and the reason why it
// has not.
func Detach(main program.Main, c *storedir.Container, lock storedir.Lock) (status int, err error) {
	defer lock.Unlock() // the monitor has inherited it
	r, w, err := os.Pipe()
	if err != nil {
		return launch.StatusFailed, err
	}
	defer r.Close()
	log, err := os.OpenFile(filepath.Join(c.Dir, monitorLog), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		w.Close()
		return launch.StatusFailed, err
	}
	defer log.Close()
	cmd := main.Command(lock.File)
	cmd.Args, cmd.Dir, cmd.Stderr = []string{MonitorName, c.Dir}, "/", log
	cmd.ExtraFiles = append(cmd.ExtraFiles, w)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it gets no signals of the terminal
	err = cmd.Start()
	w.Close()
	if err != nil {
		return launch.StatusFailed, fmt.Errorf("starting the monitor of the container: %w", err)
	}
	var said report
	if err := json.NewDecoder(r).Decode(&said); err != nil {
		_ = cmd.Wait()
		return launch.StatusFailed, fmt.Errorf("the monitor of container %s was killed before the container started", c.Name)
	}
	if said.Status != 0 || said.Error != "" {
		_ = cmd.Wait()
		return said.Status, errors.New(said.Error)
	}
	return 0, cmd.Process.Release()
}

// monitorLog is the name of the file for messages of the monitor and the supervisor.
const monitorLog = "monitor.log"

// MonitorMain is the main function of the monitor.
func MonitorMain() int {
	unix.CloseOnExec(monitorReport)
	w := os.NewFile(monitorReport, "report")
	say := func(r report) {
		_ = json.NewEncoder(w).Encode(r) // the parent may be gone
		w.Close()
	}
	status, err := monitor(os.Args[1], storedir.Lock{File: program.Inherited()}, say)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return status
}

// monitor runs the container in the directory dir, and keeps its output.
func monitor(dir string, lock storedir.Lock, say func(report)) (status int, err error) {
	defer lock.Unlock()
	started := false
	var out *outputs
	defer func() {
		switch {
		case started:
		case err != nil:
			say(report{launch.StatusFailed, err.Error()})
		default:
			say(report{status, out.firstError(status)})
		}
	}()
	saved, err := storedir.ReadContainer(dir)
	if err != nil {
		return launch.StatusFailed, err
	}
	c := &container{Container: saved, lock: lock}
	l, err := launchOptions(saved)
	if err != nil {
		return launch.StatusFailed, err
	}
	if out, err = openOutputs(saved); err != nil {
		return launch.StatusFailed, err
	}
	c.stdin = out.stdin
	l.Stdio, l.TTY = out.stdio, launch.TTYNone
	if c.Settings.Terminal {
		l.TTY = launch.TTYNew
	}
	return c.run(l, func() { started = true; say(report{}) }, out.finish)
}

// outputs are the standard streams of a container in the background.
type outputs struct {
	stdio []*os.File
	stdin *os.File   // writes to the standard input; nil: it is not open
	log   *logWriter // nil: the output is not kept
	close []*os.File // the container's ends, and what keeps its standard input open
	done  []chan struct{}
}

// openOutputs opens the standard streams, and starts to keep what is written to them.
func openOutputs(c *storedir.Container) (o *outputs, err error) {
	o = new(outputs)
	defer func() {
		if err != nil {
			o.finish()
		}
	}()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return o, err
	}
	o.close = append(o.close, null)
	o.stdio = []*os.File{null, null, null}
	if c.Settings.OpenStdin {
		r, w, err := os.Pipe()
		if err != nil {
			return o, err
		}
		o.stdio[0], o.stdin, o.close = r, w, append(o.close, r, w)
	}
	if c.Settings.NoLog {
		return o, nil
	}
	if o.log, err = openLog(logPath(c), &c.Settings); err != nil {
		return o, err
	}
	for i, name := range []string{"stdout", "stderr"} {
		r, w, err := os.Pipe()
		if err != nil {
			return o, err
		}
		o.stdio[i+1], o.close = w, append(o.close, w)
		done := make(chan struct{})
		o.done = append(o.done, done)
		go func() {
			defer close(done)
			defer r.Close()
			o.log.copy(name, r)
		}()
	}
	return o, nil
}

// finish waits until everything is in the log. Nothing writes to the streams any more.
func (o *outputs) finish() {
	for _, f := range o.close {
		f.Close()
	}
	for _, d := range o.done {
		<-d
	}
	if o.log != nil {
		o.log.close()
	}
}

// firstError returns what a container that has not started has written: the stage says there
// what is wrong with the command.
func (o *outputs) firstError(status int) string {
	if o.log != nil && len(o.log.first) > 0 {
		return strings.TrimPrefix(strings.TrimSpace(string(o.log.first)), "subuidless: ")
	}
	return fmt.Sprintf("the command has not started: exit status %d", status)
}
