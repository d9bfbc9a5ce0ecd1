package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// interrupt is the error of a command that a signal has ended, and the cause of its context.
type interrupt struct {
	signal syscall.Signal
	kept   string // what becomes of the work that has been done; may be empty
}

func (i interrupt) Error() string {
	if i.kept == "" {
		return "interrupted"
	}
	return "interrupted; " + i.kept
}

// Is reports that i is a kind of context.Canceled.
func (i interrupt) Is(target error) bool { return target == context.Canceled }

// What is left of an interrupted command.
const (
	nothingChanged = "nothing has changed"
	fetchedIsKept  = "nothing has changed, and what has been fetched is used the next time"
	pushedIsKept   = "what has been pushed is used the next time"
)

// interruptible returns a context that ends with SIGTERM, and with SIGINT and SIGHUP unless
// they are ignored, as under nohup. A second signal kills the process.
func interruptible() (context.Context, context.CancelFunc) {
	signals := []os.Signal{syscall.SIGTERM}
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signals = append(signals, s)
		}
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	received := make(chan os.Signal, 1)
	signal.Notify(received, signals...)
	go func() {
		select {
		case s := <-received:
			signal.Stop(received)
			cancel(interrupt{signal: s.(syscall.Signal)}) // all signals of Linux are of this type
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(received)
		cancel(nil)
	}
}

// explainInterrupt returns err, or if a signal has ended ctx, an error that says so, and what is kept.
func explainInterrupt(ctx context.Context, err error, kept string) error {
	var i interrupt
	if err == nil || !errors.As(context.Cause(ctx), &i) {
		return err
	}
	i.kept = kept
	return i
}

// exitStatus returns the exit status for an error: 128 and the number of the signal that has
// interrupted the command, as docker's and shells', or else failed.
func exitStatus(err error, failed int) int {
	var i interrupt
	if errors.As(err, &i) {
		return 128 + int(i.signal)
	}
	return failed
}
