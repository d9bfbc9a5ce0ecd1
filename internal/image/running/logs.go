package running

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/storedir"
)

// LogOptions are the options of Logs.
type LogOptions struct {
	Follow       bool      // until the container ends
	Tail         int       // only this number of lines from the end; negative: all
	Since, Until time.Time // zero: no limit
	Timestamps   bool
	Out, Err     io.Writer
}

// ParseTail parses the number of lines of LogOptions.Tail; "all" means all.
func ParseTail(text string) (int, error) {
	if text == "all" || text == "-1" {
		return -1, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("--tail %q: must be a number of lines or all", text)
	}
	return n, nil
}

// ParseTime parses a time of RFC 3339, a date, seconds since the epoch, or a duration before now.
// The time is zero if text is empty.
func ParseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return time.Now().Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		return time.Unix(0, int64(seconds*1e9)), nil
	}
	return time.Time{}, fmt.Errorf("%q is no time: see subuidless logs --help", text)
}

// entry is a line of the log.
type entry struct {
	time   time.Time
	stamp  []byte
	stream string
	full   bool
	text   []byte
}

// parseEntry parses a line without its end. Ok is false if it is damaged.
func parseEntry(line []byte) (e entry, ok bool) {
	parts := bytes.SplitN(line, []byte{' '}, 4)
	if len(parts) != 4 {
		return e, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(parts[0]))
	return entry{time: t, stamp: parts[0], stream: string(parts[1]), full: string(parts[2]) == logFull, text: parts[3]}, err == nil
}

// Logs writes what a container in the background has written.
func Logs(c *storedir.Container, o LogOptions) error {
	f, err := os.Open(logPath(c))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("container %s has no log: it has not run in the background (run -d, start), or with --log-driver=none", c.Name)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	p := &logPrinter{LogOptions: o, atStart: map[string]bool{"stdout": true, "stderr": true}}
	var changes *watch
	if o.Follow { // before the first read, so that nothing is missed
		if changes, err = watchFile(c); err != nil {
			return err
		}
		defer changes.close()
	}
	r := &lineReader{f: f}
	if o.Tail >= 0 {
		if r.at, err = tailOffset(f, o.Tail); err != nil {
			return err
		}
	}
	for {
		ended := changes == nil || changes.hasEnded() // before the read
		if err := r.each(p.print); err != nil {
			return err
		}
		if ended {
			return nil
		}
		if err := changes.wait(); err != nil {
			return err
		}
	}
}

// lineReader reads the complete lines of a file that grows.
type lineReader struct {
	f  *os.File
	at int64
}

func (r *lineReader) each(f func([]byte) error) error {
	b := bufio.NewReaderSize(io.NewSectionReader(r.f, r.at, 1<<62), 64<<10)
	for {
		line, err := b.ReadBytes('\n')
		if err == io.EOF {
			return nil // what has no end yet is read the next time
		}
		if err != nil {
			return err
		}
		r.at += int64(len(line))
		if err := f(line[:len(line)-1]); err != nil {
			return err
		}
	}
}

// tailOffset returns where the last n lines of output begin.
func tailOffset(f *os.File, n int) (int64, error) {
	r := &lineReader{f: f}
	starts := make([]int64, 0, n) // of the last n lines, as a ring
	next, begins := 0, true
	var at int64
	err := r.each(func(line []byte) error {
		e, ok := parseEntry(line)
		if begins && ok {
			if len(starts) < n {
				starts = append(starts, at)
			} else if n > 0 {
				starts[next] = at
				next = (next + 1) % n
			}
		}
		at += int64(len(line)) + 1
		begins = !ok || e.full
		return nil
	})
	if len(starts) == 0 {
		return at, err
	}
	return starts[next%len(starts)], err
}

// logPrinter prints lines of the log.
type logPrinter struct {
	LogOptions
	atStart map[string]bool // of a line, by stream
}

func (p *logPrinter) print(line []byte) error {
	e, ok := parseEntry(line)
	if !ok || e.time.Before(p.Since) || !p.Until.IsZero() && e.time.After(p.Until) {
		return nil
	}
	var b []byte
	if p.Timestamps && p.atStart[e.stream] {
		b = append(append(b, e.stamp...), ' ')
	}
	b = append(b, e.text...)
	if e.full {
		b = append(b, '\n')
	}
	p.atStart[e.stream] = e.full
	w := p.Out
	if e.stream == "stderr" {
		w = p.Err
	}
	_, err := w.Write(b)
	return err
}

// watch reports changes of the log and the end of the container.
type watch struct {
	inotify int
	ended   chan struct{}
	wake    [2]int // a pipe, which is closed at the end
	waiter  *storedir.Waiter
}

func watchFile(c *storedir.Container) (*watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	w := &watch{inotify: fd, ended: make(chan struct{})}
	if _, err = unix.InotifyAddWatch(fd, logPath(c), unix.IN_MODIFY); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("inotify_add_watch", err)
	}
	if err := unix.Pipe2(w.wake[:], unix.O_CLOEXEC); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("pipe2", err)
	}
	if w.waiter, err = c.Waiter(); err != nil {
		w.close()
		return nil, err
	}
	go func() {
		_, _ = w.waiter.Wait()
		close(w.ended)
		unix.Close(w.wake[1])
	}()
	return w, nil
}

func (w *watch) hasEnded() bool {
	select {
	case <-w.ended:
		return true
	default:
		return false
	}
}

// wait waits for a change of the log, or for the end of the container.
func (w *watch) wait() error {
	for {
		fds := []unix.PollFd{{Fd: int32(w.inotify), Events: unix.POLLIN}, {Fd: int32(w.wake[0]), Events: unix.POLLIN}}
		_, err := unix.Poll(fds, -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("poll", err)
		}
		if fds[0].Revents != 0 {
			b := make([]byte, 4096)
			if _, err := unix.Read(w.inotify, b); err != nil && err != unix.EINTR {
				return os.NewSyscallError("read", err)
			}
		}
		return nil
	}
}

func (w *watch) close() {
	unix.Close(w.inotify)
	unix.Close(w.wake[0])
}
