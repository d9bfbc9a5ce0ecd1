package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
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
	id    string // of its supervisor
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan error // receives the error of cmd

	// unwitnessed means that nobody starts supervisors if keeper and worker die together.
	unwitnessed bool
	faults      [faultKinds]int
	hung        bool

	mu       sync.Mutex // protects the rest
	checkers map[uint64]progress
	moved    time.Time // when the number of calls has changed
	text     strings.Builder
}

// checkersPerPlace is how many checkers run in a container, so that calls overlap.
const checkersPerPlace = 2

// startPlaces starts all containers, and the agent, which is nil if there is none.
func startPlaces(o options, r *rand.Rand) (places []*place, a *agent, err error) {
	self, binary := filepath.Join(o.dir, "soak"), filepath.Join(o.dir, "subuidless")
	check := func(program, dir string) []string {
		return []string{program, "check", strconv.FormatUint(r.Uint64(), 10), strconv.Itoa(checkersPerPlace), dir}
	}
	start := func(name string, id func(pid int) string, argv ...string) error {
		p, err := startPlace(name, o.verbose, argv)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		p.id = id(p.cmd.Process.Pid)
		places = append(places, p)
		return nil
	}
	err = start("exec", func(pid int) string { return fmt.Sprintf("exec-%d", pid) },
		append([]string{binary, "exec", "--"}, check(self, filepath.Join(o.dir, "files", "exec"))...)...)
	if err != nil {
		return places, nil, err
	}
	rootfs := filepath.Join(o.dir, "files", "rootfs")
	if err := makeRootfs(rootfs, self); err != nil {
		return places, nil, err
	}
	err = start("run", func(pid int) string { return fmt.Sprintf("run-%d", pid) },
		append([]string{binary, "run", rootfs, "--"}, check("/bin/soak", "/tmp/run")...)...)
	if err != nil {
		return places, nil, err
	}
	if _, err := exec.LookPath("crun"); err != nil {
		return places, nil, nil
	}
	bundle := filepath.Join(o.dir, "files", "bundle")
	if a, err = startAgent(binary, filepath.Join(o.dir, "run", "agent.sock"), o.verbose); err != nil {
		return places, nil, err
	}
	if err := makeBundle(bundle, self, binary, a.socket, check("/bin/soak", "/tmp/crun")); err != nil {
		return places, a, err
	}
	id := fmt.Sprintf("soak-%d", os.Getpid())
	err = start("crun", func(int) string { return id }, "crun", "--cgroup-manager=disabled", "run", "-b", bundle, id)
	return places, a, err
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

// startPlace starts a container whose first process are checkers.
func startPlace(name string, verbose bool, argv []string) (*place, error) {
	p := &place{name: name, checkers: map[uint64]progress{}, moved: time.Now(), ended: make(chan error, 1), cmd: exec.Command(argv[0], argv[1:]...)}
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
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

// read reads the progress of the checkers.
func (p *place) read(r io.Reader) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		var now progress
		err := json.Unmarshal(lines.Bytes(), &now)
		p.mu.Lock()
		if err != nil {
			fmt.Fprintf(&p.text, "unexpected output: %s\n", lines.Bytes())
		}
		if now.Says != "" {
			fmt.Fprintf(os.Stderr, "%s: %s", p.name, now.Says)
		}
		if now.Calls != p.checkers[now.Checker].Calls {
			p.moved = time.Now()
		}
		p.checkers[now.Checker] = now
		p.mu.Unlock()
	}
}

// begun reports whether all checkers have begun.
func (p *place) begun() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.checkers) == checkersPerPlace
}

// said returns what the processes of the place have said.
func (p *place) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// hangs reports whether the checkers make no progress.
func (p *place) hangs() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.moved) > patience
}

// total returns the sum of what the checkers have done. Done means that all are done.
func (p *place) total() (sum progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sum.Done = len(p.checkers) == checkersPerPlace
	for c := range maps.Values(p.checkers) {
		sum.Calls += c.Calls
		sum.Wrong += c.Wrong
		sum.Lost += c.Lost
		sum.Done = sum.Done && c.Done
	}
	return sum
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
			if err != nil {
				return fmt.Errorf("%s: %w\n%s", p.name, err, p.said())
			}
		case <-time.After(patience):
			return fmt.Errorf("%s does not end\n%s", p.name, p.said())
		}
	}
	return nil
}

// await waits for the end of the first process of a place.
func (p *place) await() {
	err := <-p.ended
	p.ended <- err
}
