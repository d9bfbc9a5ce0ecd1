package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// commandLimit is far above the slowest run; only a command that hangs reaches it.
const commandLimit = 3 * time.Minute

// expand replaces the placeholders in the strings of rows and columns.
func expand(w workdir, c column, words []string) []string {
	archive, id1, id2 := archiveMixed, "1000", "1001"
	if c.oneID {
		archive, id1, id2 = archiveRoot, "0", "0"
	}
	placeholders := strings.NewReplacer(
		"{bin}", w.bin(), "{fixtures}", w.fixtures(), "{run}", w.run(), "{state}", w.state(),
		"{archive}", archive, "{id1}", id1, "{id2}", id2)
	expanded := make([]string, len(words))
	for i, word := range words {
		expanded[i] = placeholders.Replace(word)
	}
	return expanded
}

// environment returns the environment of a command. Except for PATH, it is the same on
// every machine, and its directories are in the work directory.
func environment(w workdir, c column) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + w.state(),
		"TMPDIR=" + w.state(),
		"LC_ALL=C",
	}, expand(w, c, c.env)...)
}

// cleanEnvironment is for a root file system, which does not contain the work directory.
var cleanEnvironment = []string{"/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"}

// cost is what a command took, in seconds: wall time, and the CPU time of everything that it started,
// or 0 if that is not known.
type cost struct{ wall, cpu float64 }

// timeOnce runs a row in a column from a fresh state and returns what it took.
func timeOnce(ctx context.Context, w workdir, c column, r row) (cost, error) {
	if err := w.refresh(); err != nil {
		return cost{}, err
	}
	if r.warm != nil {
		if _, err := runIn(ctx, w, c, r.warm, nil); err != nil {
			return cost{}, err
		}
	}
	if r.chroot {
		return runWrapped(ctx, w, c, slices.Concat(c.chroot, cleanEnvironment), r.argv, nil)
	}
	if !r.printsNanoseconds {
		return runIn(ctx, w, c, r.argv, nil)
	}
	printed, err := os.Create(filepath.Join(w.state(), "stdout"))
	if err != nil {
		return cost{}, err
	}
	defer printed.Close()
	if _, err := runIn(ctx, w, c, r.argv, printed); err != nil {
		return cost{}, err
	}
	text, err := os.ReadFile(printed.Name())
	if err != nil {
		return cost{}, err
	}
	nanoseconds, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	if err != nil {
		return cost{}, fmt.Errorf("%s did not print a figure: %w", r.argv[0], err)
	}
	return cost{wall: nanoseconds / 1e9}, nil
}

// runIn runs a command in a column and returns what it took. Afterwards it ends what the column
// leaves behind.
func runIn(ctx context.Context, w workdir, c column, argv []string, stdout *os.File) (cost, error) {
	return runWrapped(ctx, w, c, c.wrap, argv, stdout)
}

func runWrapped(ctx context.Context, w workdir, c column, wrap, argv []string, stdout *os.File) (cost, error) {
	took, err := runCommand(ctx, w, c, append(expand(w, c, wrap), expand(w, c, argv)...), stdout)
	if err == nil && c.after != nil {
		_, err = runCommand(ctx, w, c, expand(w, c, c.after), nil)
	}
	return took, err
}

func runCommand(ctx context.Context, w workdir, c column, argv []string, stdout *os.File) (cost, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, commandLimit, fmt.Errorf("still running after %v", commandLimit))
	defer cancel()
	// A file, not a pipe: Wait would not return while a daemon has the pipe open.
	stderr, err := os.CreateTemp(string(w), "stderr-")
	if err != nil {
		return cost{}, err
	}
	defer os.Remove(stderr.Name())
	defer stderr.Close()

	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = w.run()
	cmd.Env = environment(w, c)
	cmd.Stderr = stderr
	if stdout != nil {
		cmd.Stdout = stdout
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.oneID {
		enterOneIDNamespace(cmd.SysProcAttr)
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

	before, err := cpuTime(w)
	if err != nil {
		return cost{}, err
	}
	start := time.Now()
	err = cmd.Run()
	elapsed := time.Since(start)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		said, _ := os.ReadFile(stderr.Name())
		return cost{}, fmt.Errorf("%s: %w\n%s", cmd, err, said)
	}
	after, err := cpuTime(w)
	return cost{wall: elapsed.Seconds(), cpu: (after - before).Seconds()}, err
}

// enterOneIDNamespace does what unshare -r does.
func enterOneIDNamespace(attr *syscall.SysProcAttr) {
	attr.Cloneflags = syscall.CLONE_NEWUSER
	attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
}
