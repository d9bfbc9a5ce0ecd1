package running

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
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

	ready func() // if not nil, called when nothing that is written from now on is left out
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
	return time.Time{}, fmt.Errorf("%q is not a time: see subuidless logs --help", text)
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
	p := &logPrinter{LogOptions: o, atStart: map[string]bool{"stdout": true, "stderr": true}}
	var changes *watch
	if o.Follow { // before the first read, so that nothing is missed
		var err error
		if changes, err = watchLog(c); err != nil {
			return err
		}
		defer changes.close()
	}
	files, err := openLogs(c)
	defer func() { closeAll(files) }()
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("container %s has no log: it has not run in the background (run -d, start), or with --log-driver=none", c.Name)
	}
	if o.Tail >= 0 {
		n, err := countLines(files)
		if err != nil {
			return err
		}
		p.skip = max(0, n-o.Tail)
	}
	if o.ready != nil {
		o.ready()
	}
	r := &lineReader{}
	for {
		ended := changes == nil || changes.hasEnded() // before the read
		for i, f := range files {
			if i > 0 || r.f == nil {
				r.f, r.at = f, 0
			}
			if err := r.each(p.print); err != nil {
				return err
			}
		}
		later, err := logsSince(c, r.f)
		if err != nil {
			return err
		}
		closeAll(files[:len(files)-1])
		files = append(files[len(files)-1:], later...)
		switch {
		case len(later) > 0: // the last one may have grown before it was rotated
		case ended:
			return nil
		default:
			if err := changes.wait(); err != nil {
				return err
			}
		}
	}
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// openLogs opens the files of a log, the oldest first. It opens the newest first: if the log is
// rotated meanwhile, it finds a file twice, and misses none of those that there were.
func openLogs(c *storedir.Container) ([]*os.File, error) {
	var files []*os.File
	for n := range max(c.Settings.LogFiles, 1) {
		f, err := os.Open(rotatedPath(logPath(c), n))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return files, err
		}
		if slices.ContainsFunc(files, func(other *os.File) bool { return isSame(f, other) }) {
			f.Close()
			continue
		}
		files = append(files, f)
	}
	slices.Reverse(files)
	return files, nil
}

// logsSince opens the files of a log that are newer than f; all, if f is not one of them any more.
func logsSince(c *storedir.Container, f *os.File) ([]*os.File, error) {
	files, err := openLogs(c)
	if err != nil {
		closeAll(files)
		return nil, err
	}
	i := slices.IndexFunc(files, func(other *os.File) bool { return isSame(f, other) })
	closeAll(files[:i+1])
	return files[i+1:], nil
}

func isSame(a, b *os.File) bool {
	sa, errA := a.Stat()
	sb, errB := b.Stat()
	return errA == nil && errB == nil && os.SameFile(sa, sb)
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

// countLines returns the number of lines of output in the files of a log.
func countLines(files []*os.File) (n int, err error) {
	begins := true
	for _, f := range files {
		err := (&lineReader{f: f}).each(func(line []byte) error {
			e, ok := parseEntry(line)
			if begins && ok {
				n++
			}
			begins = !ok || e.full
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}

// logPrinter prints lines of the log.
type logPrinter struct {
	LogOptions
	atStart  map[string]bool // of a line, by stream
	skip     int             // lines to leave out
	skipping bool            // this line is left out
	inLine   bool            // the last entry was not the end of its line
}

func (p *logPrinter) print(line []byte) error {
	e, ok := parseEntry(line)
	begins := ok && !p.inLine
	p.inLine = ok && !e.full
	if p.skip > 0 && begins {
		p.skip--
		p.skipping = true
	} else if begins {
		p.skipping = false
	}
	if !ok || p.skipping || e.time.Before(p.Since) || !p.Until.IsZero() && e.time.After(p.Until) {
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

// watch reports changes of the directory with the log, and the end of the container.
type watch struct {
	inotify int
	ended   chan struct{}
	wake    [2]int // a pipe, which is closed at the end
	waiter  *storedir.Waiter
}

func watchLog(c *storedir.Container) (*watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	w := &watch{inotify: fd, ended: make(chan struct{})}
	if _, err = unix.InotifyAddWatch(fd, c.Dir, unix.IN_MODIFY|unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
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

// wait waits for a change of the log, among others, or for the end of the container.
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
