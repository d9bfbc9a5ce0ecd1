package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// unprivilegedID has no entry in /etc/subuid, like the users that subuidless is made for.
const unprivilegedID = 4242

// prepare is the first stage: it builds the programs, runs the second stage as an
// unprivileged user, and cleans up.
func prepare(ctx context.Context, o options) (err error) {
	w, err := newWorkdir(o.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(string(w))) }()

	if err := w.makeLayout(); err != nil {
		return err
	}
	if err := buildPrograms(ctx, w, o); err != nil {
		return err
	}
	if o.rows.matches(rowInstall) {
		if err := provideDebian(w); err != nil {
			return err
		}
	}
	if o.rows.matches(rowLibrary1) || o.rows.matches(rowLibrary2) {
		if err := provideSources(w); err != nil {
			return err
		}
	}
	self, err := copySelf(w)
	if err != nil {
		return err
	}
	cgroup, reason := makeCgroup(w)
	if reason != nil {
		fmt.Fprintf(os.Stderr, "bench: CPU time skipped: %v\n", reason)
	} else {
		defer func() { err = errors.Join(err, removeCgroup(cgroup)) }()
	}
	if err := runUnprivileged(ctx, w, self, cgroup); err != nil {
		return err
	}
	if o.markdown != "" {
		err = copyFile(o.markdown, w.markdown(), 0o644)
	}
	if err == nil && o.svg != "" {
		err = copyFile(o.svg, w.svg(), 0o644)
	}
	return err
}

// copySelf copies this program, because another user may be unable to reach the
// executable of go run.
func copySelf(w workdir) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	copied := filepath.Join(w.bin(), "bench")
	return copied, copyFile(copied, self, 0o755)
}

func runUnprivileged(ctx context.Context, w workdir, self string, cgroup *os.File) error {
	cmd := exec.CommandContext(ctx, self, append([]string{"-prepared", string(w)}, os.Args[1:]...)...)
	cmd.Dir = string(w)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	// On an interrupt, the second stage first ends the command that it is timing.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.SysProcAttr = new(syscall.SysProcAttr)
	if os.Geteuid() == 0 {
		if err := giveAway(w); err != nil {
			return err
		}
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: unprivilegedID, Gid: unprivilegedID}
	}
	if cgroup != nil {
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(cgroup.Fd())
	}
	err := cmd.Run()
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		return errors.New("the measurement failed") // it has printed why
	}
	return err
}

func giveAway(w workdir) error {
	return filepath.WalkDir(string(w), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, unprivilegedID, unprivilegedID)
	})
}

func copyFile(to, from string, mode fs.FileMode) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, mode)
}
