package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// progressEvery is the time between two lines of progress.
	progressEvery = 30 * time.Second
	// cleanupTime is how long an interrupted command may clean up before it is killed.
	cleanupTime = time.Minute
)

// run runs the stage, writes its output to log, and reports on screen.
func (s stage) run(ctx context.Context, screen, log io.Writer) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.limit, fmt.Errorf("still running after %v", s.limit))
	defer cancel()
	start := time.Now()
	r := newReport(screen, s.name)
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	done := make(chan error, 1)
	go func() { done <- s.execute(ctx, io.MultiWriter(log, &lineWriter{each: r.line})) }()
	for {
		select {
		case <-ticker.C:
			r.progress(time.Since(start))
		case err := <-done:
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			r.finish(err == nil, time.Since(start))
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			return nil
		}
	}
}

// execute runs the command in its own process group, so that nothing of it remains.
func (s stage) execute(ctx context.Context, output io.Writer) error {
	cmd := exec.CommandContext(ctx, s.argv[0], s.argv[1:]...)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// SIGINT, as if typed: go test then waits for the tests to clean up.
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGINT) }
	cmd.WaitDelay = cleanupTime
	err := cmd.Run()
	if cmd.Process == nil {
		return err
	}
	if e := unix.Kill(-cmd.Process.Pid, unix.SIGKILL); e != nil && !errors.Is(e, unix.ESRCH) {
		err = errors.Join(err, e)
	}
	return err
}

// lineWriter calls a function with each complete line, without the newline.
type lineWriter struct {
	each func(line []byte)
	rest []byte
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.rest = append(w.rest, b...)
	for {
		line, after, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			return len(b), nil
		}
		w.each(line)
		w.rest = after
	}
}
