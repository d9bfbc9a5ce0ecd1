package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// place is a container with checkers.
type place struct {
	name  string
	id    string // of its supervisor; empty: it has several, of different names
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan error // receives the error of cmd

	agent   *agent    // of its supervisor; nil: there is none
	sidecar string    // the directory; empty: the default
	atEnd   *exec.Cmd // ends what the command leaves running; nil: nothing
	faults  [faultKinds]int
	hung    int

	// watchedBy is the standby that is the witness of its supervisor; 0: the one that started that.
	watchedBy   int
	frontKilled bool

	mu   sync.Mutex // protects the rest
	jobs map[string]*jobState
	text strings.Builder
}

// jobState is what is known of a job.
type jobState struct {
	progress
	begun bool
	moved time.Time // when the number of calls has changed
}

// checkers are the jobs of every container. Their calls overlap.
var checkers = []string{"check-1", "check-2"}

// withPrograms returns the jobs of a container that has the programs of this machine.
func withPrograms() []string {
	jobs := checkers
	for _, program := range []string{"tar", "git", "sqlite3", "dpkg"} {
		if _, err := exec.LookPath(program); err == nil {
			jobs = append(slices.Clone(jobs), program+"-1")
		}
	}
	if postgresBin() != "" {
		jobs = append(slices.Clone(jobs), "postgres-1")
	}
	return jobs
}

// startPlaces starts all containers, and the agent.
func startPlaces(o options, r *rand.Rand) (places []*place, err error) {
	self, binary := filepath.Join(o.dir, "soak"), filepath.Join(o.dir, "subuidless")
	command := func(program, dir string, jobs []string) []string {
		return append([]string{program, "jobs", strconv.FormatUint(r.Uint64(), 10), dir}, jobs...)
	}
	start := func(name string, jobs []string, id func(pid int) string, argv ...string) error {
		p, err := startPlace(name, jobs, o.verbose, nil, argv)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		p.id = id(p.cmd.Process.Pid)
		places = append(places, p)
		return nil
	}
	jobs := withPrograms()
	err = start("exec", jobs, func(pid int) string { return fmt.Sprintf("exec-%d", pid) },
		append([]string{binary, "exec", "--"}, command(self, filepath.Join(o.dir, "files", "exec"), jobs)...)...)
	if err != nil {
		return places, err
	}
	rootfs := filepath.Join(o.dir, "files", "rootfs")
	if err := makeRootfs(rootfs, self); err != nil {
		return places, err
	}
	err = start("run", checkers, func(pid int) string { return fmt.Sprintf("run-%d", pid) },
		append([]string{binary, "run", rootfs, "--"}, command("/bin/soak", "/tmp/run", checkers)...)...)
	if err != nil {
		return places, err
	}
	starved := []string{"starve-1", "starve-2"}
	err = start("starved", starved, func(pid int) string { return fmt.Sprintf("run-%d", pid) },
		append([]string{binary, "run", "--sidecar", filepath.Join(o.dir, "sidecar"), rootfs, "--"}, command("/bin/soak", "/tmp/starved", starved)...)...)
	if err != nil {
		return places, err
	}
	places[len(places)-1].sidecar = filepath.Join(o.dir, "sidecar")
	building := []string{"build-1"}
	p, err := startPlace("build", building, o.verbose, append(os.Environ(), binaryVar+"="+binary), command(self, filepath.Join(o.dir, "files", "build"), building))
	if err != nil {
		return places, err
	}
	places = append(places, p)
	if p, err = startPodman(o, self, binary, command); err != nil {
		return places, err
	} else if p != nil {
		places = append(places, p)
	}
	if _, err := exec.LookPath("crun"); err != nil {
		return places, nil
	}
	bundle := filepath.Join(o.dir, "files", "bundle")
	a, err := startAgent(binary, filepath.Join(o.dir, "run", "agent.sock"), o.verbose)
	if err != nil {
		return places, err
	}
	err = makeBundle(bundle, self, binary, a.socket, command("/bin/soak", "/tmp/crun", checkers))
	if err == nil {
		id := fmt.Sprintf("soak-%d", os.Getpid())
		err = start("crun", checkers, func(int) string { return id }, "crun", "--cgroup-manager=disabled", "run", "-b", bundle, id)
	}
	if err != nil {
		a.end()
		return places, err
	}
	places[len(places)-1].agent = a
	return places, nil
}

// suffers reports whether a fault can happen to the place.
func (p *place) suffers(kind faultKind) bool {
	switch kind {
	case standbyKilled, threeKilled:
		return p.hasStandby()
	case agentKilled, deputyKilled:
		return p.agent != nil
	case outOfDescriptors, outOfMemory, readOnlySidecar:
		return p.sidecar != ""
	case taskKilled:
		return p.sidecar == "" // the jobs there have no task
	}
	return true
}

// hasStandby reports whether the container outlives the process that started its supervisor, and so
// has a standby.
func (p *place) hasStandby() bool { return p.name == "exec" || p.name == "podman" || p.agent != nil }

// standbys returns the standby, unless it is just being replaced.
func (p *place) standbys() []int {
	return slices.DeleteFunc(find(standbyName, p.id), func(pid int) bool { return pid == p.watchedBy })
}

// readyStandby returns the standby if it can take over, or 0.
func (p *place) readyStandby() int {
	if all := p.standbys(); len(all) == 1 && holdsListener(all[0]) {
		return all[0]
	}
	return 0
}

// witnesses returns the process that watches the supervisor, if it lives.
func (p *place) witnesses() (pids []int) {
	witness := p.cmd.Process.Pid
	switch {
	case p.watchedBy != 0:
		witness = p.watchedBy
	case p.agent != nil:
		witness = p.agent.cmd.Process.Pid
	}
	for _, process := range processes() {
		if process.pid == witness {
			pids = append(pids, witness)
		}
	}
	return pids
}

// startPodman starts a container of podman in a session; nil if this machine has no podman.
func startPodman(o options, self, binary string, command func(program, dir string, jobs []string) []string) (*place, error) {
	if _, err := exec.LookPath("podman"); err != nil {
		return nil, nil
	}
	rootfs, run := filepath.Join(o.dir, "files", "podman"), filepath.Join(o.dir, "podman")
	if err := errors.Join(makeRootfs(rootfs, self), os.Mkdir(run, 0o700)); err != nil {
		return nil, err
	}
	env := append(os.Environ(), "XDG_RUNTIME_DIR="+run)
	p, err := startPlace("podman", checkers, o.verbose, env, append([]string{binary, "podman", "run", "-i", "--rm", "--network=none", "--log-driver=none", "--cap-add=all",
		"--rootfs", rootfs}, command("/bin/soak", "/tmp/podman", checkers)...))
	if err != nil {
		return nil, fmt.Errorf("podman: %w", err)
	}
	p.id = "default" // the name of the session
	p.atEnd = exec.Command(binary, "session", "stop")
	p.atEnd.Env = env
	return p, nil
}

// makeRootfs makes a root file system with the checker.
func makeRootfs(dir, self string) error {
	for _, d := range []string{"bin", "dev", "etc", "proc", "sys", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	return copyFile(filepath.Join(dir, "bin", "soak"), self)
}

// makeBundle makes an OCI bundle whose container runs the command.
func makeBundle(dir, self, binary, socket string, command []string) error {
	if err := makeRootfs(filepath.Join(dir, "rootfs"), self); err != nil {
		return err
	}
	if out, err := exec.Command(binary, "spec", "--bundle", dir, "--socket", socket, "--wait-killable").CombinedOutput(); err != nil {
		return fmt.Errorf("subuidless spec: %w\n%s", err, out)
	}
	file := filepath.Join(dir, "config.json")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		return err
	}
	process := config["process"].(map[string]any)
	process["terminal"], process["args"] = false, command
	capabilities := []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_MKNOD"}
	sets := process["capabilities"].(map[string]any)
	for set := range sets {
		sets[set] = capabilities
	}
	config["root"].(map[string]any)["readonly"] = false
	if text, err = json.Marshal(config); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

// startPlace starts a container whose command runs jobs. A nil env is that of this process.
func startPlace(name string, jobs []string, verbose bool, env, argv []string) (*place, error) {
	p := &place{name: name, jobs: map[string]*jobState{}, ended: make(chan error, 1), cmd: exec.Command(argv[0], argv[1:]...)}
	for _, job := range jobs {
		p.jobs[job] = &jobState{moved: time.Now()}
	}
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.stdin, p.cmd.Env = stdin, env
	p.cmd.Stderr = &sayer{p, verbose}
	p.cmd.WaitDelay = patience // for processes that inherit its output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.read(stdout)
		p.ended <- p.cmd.Wait()
	}()
	return p, nil
}

// sayer keeps what the processes of a place say.
type sayer struct {
	p       *place
	verbose bool
}

// maxText is how much of that is kept, in bytes.
const maxText = 1 << 20

func (s *sayer) Write(b []byte) (int, error) {
	if s.verbose {
		fmt.Fprintf(os.Stderr, "%s: %s", s.p.name, b)
	}
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.p.text.Len() < maxText {
		s.p.text.Write(b)
	}
	return len(b), nil
}

// read reads the progress of the jobs.
func (p *place) read(r io.Reader) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		var now progress
		err := json.Unmarshal(lines.Bytes(), &now)
		p.mu.Lock()
		state := p.jobs[now.Job]
		switch {
		case err != nil || state == nil:
			fmt.Fprintf(&p.text, "unexpected output: %s\n", lines.Bytes())
		case now.Calls != state.Calls || !state.begun:
			state.moved = time.Now()
			fallthrough
		default:
			state.progress, state.begun = now, true
		}
		p.mu.Unlock()
		if now.Says != "" {
			fmt.Fprintf(os.Stderr, "%s, %s: %s", p.name, now.Job, now.Says)
		}
	}
}

// begun reports whether all jobs have begun.
func (p *place) begun() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, job := range p.jobs {
		if !job.begun {
			return false
		}
	}
	return true
}

// said returns what the processes of the place have said.
func (p *place) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// hangs returns the name of a job that makes no progress, or "".
func (p *place) hangs() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, job := range p.jobs {
		if time.Since(job.moved) > patience {
			return name
		}
	}
	return ""
}

// total returns the sum of what the jobs have done. Done means that all are done.
func (p *place) total() (sum progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sum.Done = true
	for _, job := range p.jobs {
		sum.Calls += job.Calls
		sum.Wrong += job.Wrong
		sum.Lost += job.Lost
		sum.Done = sum.Done && job.Done
	}
	return sum
}

// top returns a process from which all tasks descend: the one that runs the jobs, or the first one if
// that does not exist yet.
func (p *place) top() int {
	for _, process := range processes() {
		if len(process.args) > 3 && process.args[1] == "jobs" && filepath.Base(process.args[3]) == p.name {
			return process.pid
		}
	}
	return p.cmd.Process.Pid
}

// endPlaces ends all containers.
func endPlaces(places []*place) error {
	for _, p := range places {
		p.stdin.Close()
	}
	for _, p := range places {
		select {
		case err := <-p.ended:
			p.ended <- err
			if err != nil && !p.frontKilled {
				return fmt.Errorf("%s: %w\n%s", p.name, err, p.said())
			}
		case <-time.After(patience):
			return fmt.Errorf("%s does not end\n%s", p.name, p.said())
		}
		if p.atEnd != nil {
			if out, err := p.atEnd.CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %v: %w\n%s", p.name, p.atEnd.Args, err, out)
			}
		}
		if p.agent != nil {
			p.agent.end()
		}
	}
	return nil
}

// await waits for the end of the first process of a place.
func (p *place) await() {
	err := <-p.ended
	p.ended <- err
}
