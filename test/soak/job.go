package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// job is what one process in a container does and checks, in a directory of its own.
type job struct {
	name string // its kind and a number, as in check-1
	seed uint64
}

// jobKinds are the kinds of jobs.
var jobKinds = map[string]func(job) error{
	"check": checkMain, "tar": tarMain, "git": gitMain, "sqlite3": sqliteMain, "dpkg": dpkgMain, "postgres": postgresMain, "starve": starveMain, "build": buildMain,
}

// kind returns the kind of the job.
func (j job) kind() string { kind, _, _ := strings.Cut(j.name, "-"); return kind }

func (j job) rand() *rand.Rand { return rand.New(rand.NewPCG(j.seed, 0)) }

// jobsMain runs jobs in the directory dir until standard input ends, which they inherit.
func jobsMain(seed, dir string, names []string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	ended := make(chan error, len(names))
	for _, name := range names {
		cmd := exec.Command("/proc/self/exe", "job", seed, filepath.Join(dir, name))
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		go func() { ended <- cmd.Wait() }()
	}
	var err error
	for range names {
		err = errors.Join(err, <-ended)
	}
	return errors.Join(err, os.Remove(dir))
}

// jobMain runs a job in the directory dir, whose name is the job's.
func jobMain(seed, dir string) error {
	n, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		return err
	}
	j := job{filepath.Base(dir), n}
	for _, b := range []byte(j.name) {
		j.seed = j.seed*31 + uint64(b)
	}
	main := jobKinds[j.kind()]
	if main == nil {
		return fmt.Errorf("no such job: %s", j.name)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := os.Chdir(dir); err != nil {
		return err
	}
	if err := main(j); err != nil {
		return fmt.Errorf("%s: %w", j.name, err)
	}
	return os.NewSyscallError("rmdir", unix.Rmdir(dir))
}

// onceProgram is the program that checks a few calls, in a process that a runtime's exec starts.
const onceProgram = "once"

// onceMain checks calls on a new file.
func onceMain(file string) error {
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return err
	}
	if err := os.Chown(file, 12, 34); err != nil {
		return err
	}
	s, err := lstat(file, 0)
	if err == nil && (s.uid != 12 || s.gid != 34) {
		err = fmt.Errorf("the owner is %d:%d, want 12:34", s.uid, s.gid)
	}
	return errors.Join(err, os.Remove(file))
}
