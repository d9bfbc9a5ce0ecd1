package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// progress is what a job has done and found. It prints it from time to time, as one line.
type progress struct {
	Job   string
	Calls int    // system calls, or runs of programs, whose result it has checked
	Wrong int    // results that were not what real root gets
	Lost  int    // inodes whose owner, mode or device number was not what it had been set to
	Done  bool   // the last line: everything that exists has been checked again
	Says  string `json:",omitempty"` // the first wrong results in words
}

// maxSaid is how many wrong results a job describes.
const maxSaid = 5

// reportEvery is the time between two lines of progress.
const reportEvery = 100 * time.Millisecond

// reporter counts results, and reports them on standard output.
type reporter struct {
	out  *json.Encoder
	done progress
}

func newReporter(job string) reporter {
	return reporter{out: json.NewEncoder(os.Stdout), done: progress{Job: job}}
}

// untilStopped repeats a step until standard input ends, and reports the progress.
func (r *reporter) untilStopped(step func()) error {
	var stop atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop.Store(true)
	}()
	for reported := (time.Time{}); !stop.Load(); {
		step()
		if now := time.Now(); now.Sub(reported) >= reportEvery {
			reported = now
			if err := r.report(); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish reports that the job is done.
func (r *reporter) finish() error {
	r.done.Done = true
	return r.report()
}

// report prints the progress.
func (r *reporter) report() error {
	err := r.out.Encode(r.done)
	r.done.Says = ""
	return err
}

// wrong counts a wrong result, and describes it.
func (r *reporter) wrong(format string, args ...any) {
	r.done.Wrong++
	r.say(format, args...)
}

func (r *reporter) say(format string, args ...any) {
	if r.done.Wrong+r.done.Lost <= maxSaid {
		r.done.Says += fmt.Sprintf(format, args...) + "\n"
	}
}

// call counts a call, checks that its error is want, and reports whether it is.
func (r *reporter) call(want error, err error, what string, args ...any) bool {
	r.done.Calls++
	if errors.Is(err, want) || err == nil && want == nil {
		return true
	}
	r.wrong("%s: %v, want %v", fmt.Sprintf(what, args...), err, want)
	return false
}
