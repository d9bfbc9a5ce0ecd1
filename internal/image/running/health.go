package running

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rootless-containers/subuidless/internal/image/storedir"
	"github.com/rootless-containers/subuidless/internal/launch"
)

// The states of health, as docker names them.
const (
	Starting  = "starting"
	Healthy   = "healthy"
	Unhealthy = "unhealthy"
)

// What is kept of the results, as in docker.
const (
	healthResults = 5
	healthOutput  = 4096 // bytes
)

// healthCommand returns the command of a health check; nil: it is not valid.
func healthCommand(test []string) []string {
	switch {
	case len(test) > 1 && test[0] == "CMD":
		return test[1:]
	case len(test) > 1 && test[0] == "CMD-SHELL":
		return []string{"/bin/sh", "-c", test[1]}
	}
	return nil
}

// startHealthChecks checks the health of the container until stop is called.
func (c *container) startHealthChecks() (stop func()) {
	config := c.Settings.Health
	if config == nil || healthCommand(config.Test) == nil {
		return func() {}
	}
	c.State.Health = &storedir.Health{Status: Starting}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		started := time.Now()
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(c.healthInterval(time.Since(started))):
			}
			if c.Paused() {
				continue
			}
			r := c.checkHealth(ctx, config)
			if ctx.Err() != nil {
				return
			}
			c.mu.Lock()
			note(c.State.Health, config, r, r.Start.Sub(started) < config.StartPeriod)
			c.mu.Unlock()
			_ = c.saveState() // the next one tries again; the container must go on
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// healthInterval returns the time until the next check of the container, which has been running for a while.
func (c *container) healthInterval(runs time.Duration) time.Duration {
	config := c.Settings.Health
	c.mu.Lock()
	defer c.mu.Unlock()
	if config.StartInterval > 0 && runs < config.StartPeriod && c.State.Health.Status == Starting {
		return config.StartInterval
	}
	return config.Interval
}

// note adds the result of a check. Failures in the start period do not count.
func note(h *storedir.Health, config *storedir.HealthCheck, r storedir.HealthResult, inStartPeriod bool) {
	h.Log = append(h.Log, r)
	h.Log = slices.Delete(h.Log, 0, max(0, len(h.Log)-healthResults))
	switch {
	case r.ExitCode == 0:
		h.Status, h.FailingStreak = Healthy, 0
	case inStartPeriod && h.Status == Starting:
	default:
		h.FailingStreak++
		if h.FailingStreak >= config.Retries {
			h.Status = Unhealthy
		}
	}
}

// checkHealth runs the check once.
func (c *container) checkHealth(ctx context.Context, config *storedir.HealthCheck) storedir.HealthResult {
	r := storedir.HealthResult{Start: time.Now()}
	timeout, cancel := context.WithTimeout(ctx, config.Timeout)
	defer cancel()
	var err error
	r.Output, r.ExitCode, err = c.output(timeout, healthCommand(config.Test))
	switch {
	case errors.Is(timeout.Err(), context.DeadlineExceeded):
		r.ExitCode, r.Output = -1, "the health check has exceeded its timeout of "+config.Timeout.String()
	case err != nil:
		r.ExitCode, r.Output = -1, err.Error()
	}
	r.End = time.Now()
	return r
}

// output runs a command in the container, and returns the beginning of its output.
func (c *container) output(ctx context.Context, args []string) (text string, status int, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return "", 0, err
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return "", 0, err
	}
	defer r.Close()
	read := make(chan string)
	go func() {
		b, _ := io.ReadAll(io.LimitReader(r, healthOutput))
		_, _ = io.Copy(io.Discard, r) // ends at the deadline
		read <- string(b)
	}()
	o := enterOptions(c.Container)
	o.Args, o.Stdio, o.Context = args, []*os.File{null, w, w}, ctx
	status, err = launch.Enter(o)
	w.Close()
	// Something that the check has started may keep the pipe open.
	if e := r.SetReadDeadline(time.Now().Add(time.Second)); e != nil {
		err = errors.Join(err, e)
	}
	return <-read, status, err
}
