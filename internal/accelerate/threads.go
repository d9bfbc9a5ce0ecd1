package accelerate

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A filter for all threads of a process (SECCOMP_FILTER_FLAG_TSYNC) may kill those that are about to
// make a call of the code, though plain is set: TAGGED in blob/source/code.h looks at that one
// instruction earlier. So the filter waits until each thread has got past this place: it has, if it
// waits in a system call, or has been running since.

// patience is how long the filter waits. A thread that the scheduler lets run needs no more than a tick
// of the clock until the kernel says so.
const patience = time.Second

// settled is how long a thread runs, in nanoseconds, until it is past two instructions, whatever
// interrupts the CPU meanwhile.
const settled = 50_000

var errThreads = errors.New("its other threads do not run")

// letPass returns when no other thread than tid of its process can be about to make a call of the code,
// which is mapped at these addresses, after a look at plain. The working directory is the supervisor's
// /proc.
func (a *Accelerator) letPass(tid uint32, mappings []uint64) error {
	dir := strconv.Itoa(int(tid)) + "/task/"
	threads, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(patience)
	for _, t := range threads {
		if t.Name() == strconv.Itoa(int(tid)) {
			continue
		}
		thread := dir + t.Name()
		err := letRun(thread, deadline, func(ip uint64) bool {
			return slices.ContainsFunc(mappings, func(at uint64) bool { return ip-at < uint64(a.header.Size) })
		})
		if err != nil && unix.Access(thread, unix.F_OK) == nil { // otherwise it has ended
			return err
		}
	}
	return nil
}

// letRun waits until the thread in the directory dir waits in a system call, or elsewhere than in the
// code, or has been running for long enough.
func letRun(dir string, deadline time.Time, isCode func(ip uint64) bool) error {
	first, err := ran(dir)
	for now := first; err == nil && now-first < settled; now, err = ran(dir) {
		where, err := os.ReadFile(dir + "/syscall")
		if err != nil {
			return err
		}
		if ip, waits := waitsAt(where); waits && (ip == 0 || !isCode(ip)) {
			return nil
		}
		if time.Now().After(deadline) {
			return errThreads
		}
		time.Sleep(50 * time.Microsecond)
	}
	return err
}

// ran returns for how many nanoseconds a thread has been running.
func ran(dir string) (uint64, error) {
	text, err := os.ReadFile(dir + "/schedstat")
	if err != nil {
		return 0, err
	}
	first, _, _ := bytes.Cut(text, []byte(" "))
	n, err := strconv.ParseUint(string(first), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s/schedstat: %w", dir, err)
	}
	return n, nil
}

// waitsAt parses /proc/PID/syscall, and reports whether the thread waits. Ip is its instruction pointer
// if it does so outside of a system call, as for a page of its memory, and otherwise 0.
func waitsAt(text []byte) (ip uint64, waits bool) {
	fields := bytes.Fields(text)
	if len(fields) < 3 { // "running"
		return 0, false
	}
	if string(fields[0]) != "-1" {
		return 0, true
	}
	ip, err := strconv.ParseUint(string(fields[2]), 0, 64)
	return ip, err == nil
}
