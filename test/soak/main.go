// Command soak runs containers for as long as wanted, while their supervisors and tasks are killed,
// stopped and continued at random moments, and checks that nothing in the containers notices.
//
//	go run ./test/soak -minutes 60 -seed 1
//
// In each container, checkers make system calls whose results they know (checker.go). At the end it
// prints a table with what has been done, and what was wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/test/freeid"
)

func main() {
	// PR_SET_PDEATHSIG of the user's process refers to this very thread.
	runtime.LockOSThread()
	if err := run(os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// run runs one of the programs that this one consists of.
func run(args []string) error {
	switch {
	case args[0] == taskName:
		return taskMain()
	case len(args) > 4 && args[1] == "jobs":
		return jobsMain(args[2], args[3], args[4:])
	case len(args) == 4 && args[1] == "job":
		return jobMain(args[2], args[3])
	case len(args) == 4 && (args[1] == buildPlant || args[1] == buildCheck):
		return inBuild(args[1], args[2], args[3])
	case len(args) == 3 && args[1] == onceProgram:
		return onceMain(args[2])
	case len(args) == 5 && args[1] == "user":
		var ids [3]int
		for i, arg := range args[2:] {
			id, err := strconv.Atoi(arg)
			if err != nil {
				return err
			}
			ids[i] = id
		}
		return userMain(ids[0], ids[1], ids[2])
	}
	return soakMain(args[1:])
}

// options are the options of the command line.
type options struct {
	duration time.Duration
	seed     uint64
	binary   string
	dir      string
	verbose  bool
	user     int // the user id as which everything runs, in a directory of its own; 0: not yet
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	minutes := flags.Float64("minutes", 1, "run for this `number` of minutes")
	flags.Uint64Var(&o.seed, "seed", 1, "the seed of all random numbers; the moments still differ")
	flags.StringVar(&o.binary, "subuidless", "", "test this `program` instead of building one")
	flags.StringVar(&o.dir, "dir", "/var/tmp", "work in a new directory in this `directory`")
	flags.BoolVar(&o.verbose, "v", false, "print what subuidless says")
	flags.IntVar(&o.user, "user", 0, "used internally")
	err := flags.Parse(args)
	o.duration = time.Duration(*minutes * float64(time.Minute))
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return o, err
}

func soakMain(args []string) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if o.user != 0 {
		ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
		defer stop()
		return soak(ctx, o)
	}
	return o.asUser()
}

// asUser runs this program again as a user without subordinate ids, unless it already runs as one,
// in a new directory. It fails if anything is left there afterwards.
func (o options) asUser() (err error) {
	work, err := os.MkdirTemp(o.dir, "subuidless-soak-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeAll(work)) }()
	attr := &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	user := os.Getuid()
	if user == 0 {
		id, reservation, err := freeid.Reserve()
		if err != nil {
			return err
		}
		defer reservation.Close()
		user = id
		attr.Credential = &syscall.Credential{Uid: uint32(id), Gid: uint32(id)}
		if err := hideHybridCgroup(); err != nil {
			return err
		}
		if err := os.Chown(work, id, id); err != nil {
			return err
		}
	}
	if err := os.Chmod(work, 0o755); err != nil {
		return err
	}
	self, binary := filepath.Join(work, "soak"), filepath.Join(work, "subuidless")
	err = build(self, "test/soak")
	if err == nil && o.binary == "" {
		err = buildSubuidless(binary)
	} else if err == nil {
		err = copyFile(binary, o.binary)
	}
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	cmd := exec.CommandContext(ctx, self, fmt.Sprintf("-minutes=%v", o.duration.Minutes()), fmt.Sprintf("-seed=%d", o.seed),
		"-dir="+work, fmt.Sprintf("-user=%d", user), fmt.Sprintf("-v=%v", o.verbose))
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = time.Minute
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = work, os.Stdout, os.Stderr, attr
	cmd.Env = append(withoutXDG(os.Environ()), "HOME="+filepath.Join(work, "home"), "XDG_RUNTIME_DIR="+filepath.Join(work, "run"), "TMPDIR="+filepath.Join(work, "tmp"))
	var failed *exec.ExitError
	if err := cmd.Run(); errors.As(err, &failed) && failed.ExitCode() == 1 {
		return errors.New("the results are wrong")
	} else if err != nil {
		return err
	}
	return nil
}

// build builds a command of this module, as a static program.
func build(program, dir string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-o", program, "github.com/rootless-containers/subuidless/"+dir)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// buildSubuidless builds the program with the commands for images.
func buildSubuidless(program string) error {
	module := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/rootless-containers/subuidless")
	module.Stderr = os.Stderr
	dir, err := module.Output()
	if err != nil {
		return err
	}
	cmd := exec.Command("cmd/build", program, "-trimpath")
	cmd.Dir = strings.TrimSpace(string(dir))
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// unifiedCgroup is the mount point of cgroup version 2 in hybrid mode, which crun 1.8 refuses. It
// detects that mode by this mount point.
const unifiedCgroup = "/sys/fs/cgroup/unified"

// hideHybridCgroup hides that mount point from this thread and the processes that it starts.
func hideHybridCgroup() error {
	if _, err := os.Stat(unifiedCgroup); err != nil {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return os.NewSyscallError("mount", err)
	}
	return os.NewSyscallError("mount", unix.Mount("tmpfs", unifiedCgroup, "tmpfs", 0, ""))
}

// withoutXDG returns env without the variables that lead to the directories of whoever runs soak.
func withoutXDG(env []string) (rest []string) {
	for _, kv := range env {
		if !strings.HasPrefix(kv, "XDG_") {
			rest = append(rest, kv)
		}
	}
	return rest
}

// copyFile copies a program.
func copyFile(to, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o755)
}

// removeAll removes dir, in which users of containers may have removed their own permissions.
func removeAll(dir string) error {
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o700) // RemoveAll reports what remains
		}
		return nil
	})
	return os.RemoveAll(dir)
}
