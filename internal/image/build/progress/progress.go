// Package progress shows the steps of a build.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The values of --progress.
const (
	Auto  = "auto"  // TTY on a terminal, Plain otherwise
	Plain = "plain" // lines, with all output of commands
	TTY   = "tty"   // what is running, and a line for what is done
	Quiet = "quiet" // nothing
)

// Display shows steps. Its methods, and those of its steps, may be called by several goroutines.
type Display struct {
	mu    sync.Mutex
	view  view
	count int
	start time.Time
}

// view is a way to show steps. Its methods are called one at a time.
type view interface {
	started(s *Step)
	output(s *Step, line string)
	ended(s *Step)
	message(text string)
	close()
}

// New returns a display of this mode that writes to f.
func New(mode string, f *os.File) (*Display, error) {
	d := &Display{start: time.Now()}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	terminal := err == nil
	switch {
	case mode == Quiet || mode == "none":
		d.view = silent{}
	case mode == Plain || mode == Auto && !terminal:
		d.view = &plain{out: f}
	case mode == TTY && !terminal:
		return nil, fmt.Errorf("--progress=%s: the standard error is not a terminal", mode)
	case mode == TTY || mode == Auto:
		d.view = newTerminal(f, &d.mu)
	default:
		return nil, fmt.Errorf("--progress=%s: must be %s, %s, %s or %s", mode, Auto, Plain, TTY, Quiet)
	}
	return d, nil
}

// Step is a step that is running or done.
type Step struct {
	Title string

	display *Display
	number  int
	start   time.Time
	end     time.Time
	cached  bool
	err     error
	partial []byte   // the last line, without its end
	last    []string // the last lines
}

// lastLines is the number of lines of output that an error shows.
const lastLines = 20

// Start shows a new step.
func (d *Display) Start(title string) *Step {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	s := &Step{Title: title, display: d, number: d.count, start: time.Now()}
	d.view.started(s)
	return s
}

// Message shows a message for the user.
func (d *Display) Message(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.view.message(text)
}

// Close ends the display. What is shown stays.
func (d *Display) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.view.close()
}

// Write shows output of the step. It implements io.Writer.
func (s *Step) Write(b []byte) (int, error) {
	s.display.mu.Lock()
	defer s.display.mu.Unlock()
	for _, c := range b {
		switch {
		case c == '\n':
			s.flush()
		case len(s.partial) >= maxLine:
			s.flush()
			fallthrough
		default:
			s.partial = append(s.partial, c)
		}
	}
	return len(b), nil
}

// maxLine is the length of the longest line, in bytes. Longer ones are cut into several.
const maxLine = 64 << 10

// flush shows the partial line. The lock is held.
func (s *Step) flush() {
	line := string(s.partial)
	s.partial = s.partial[:0]
	if s.last = append(s.last, line); len(s.last) > lastLines {
		s.last = s.last[1:]
	}
	s.display.view.output(s, line)
}

// Cached shows that the step is done, with a result of an earlier build.
func (s *Step) Cached() { s.done(true, nil) }

// Done shows that the step has ended.
func (s *Step) Done(err error) { s.done(false, err) }

func (s *Step) done(cached bool, err error) {
	s.display.mu.Lock()
	defer s.display.mu.Unlock()
	if len(s.partial) > 0 {
		s.flush()
	}
	s.end, s.cached, s.err = time.Now(), cached, err
	s.display.view.ended(s)
}

// Last returns the last lines of output.
func (s *Step) Last() []string {
	s.display.mu.Lock()
	defer s.display.mu.Unlock()
	return s.last
}

// seconds returns how long the step has taken.
func (s *Step) seconds() string {
	end := s.end
	if end.IsZero() {
		end = time.Now()
	}
	return fmt.Sprintf("%.1fs", end.Sub(s.start).Seconds())
}

// silent shows nothing.
type silent struct{}

func (silent) started(*Step)        {}
func (silent) output(*Step, string) {}
func (silent) ended(*Step)          {}
func (silent) message(string)       {}
func (silent) close()               {}

// plain writes lines that begin with the number of the step, as BuildKit does.
type plain struct {
	out     io.Writer
	current int // number of the step of the last line
}

func (p *plain) line(s *Step, format string, args ...any) {
	if p.current != s.number {
		if p.current != 0 {
			fmt.Fprintln(p.out)
		}
		p.current = s.number
		fmt.Fprintf(p.out, "#%d %s\n", s.number, s.Title) // again, after lines of another step
	}
	if format == "" {
		return
	}
	fmt.Fprintf(p.out, "#%d %s\n", s.number, fmt.Sprintf(format, args...))
}

func (p *plain) started(s *Step) { p.line(s, "") }

func (p *plain) output(s *Step, line string) {
	p.line(s, "%.3f %s", time.Since(s.start).Seconds(), line)
}

func (p *plain) ended(s *Step) {
	switch {
	case s.err != nil:
		message, _, _ := strings.Cut(s.err.Error(), "\n") // the rest is the output
		p.line(s, "ERROR: %s", message)
	case s.cached:
		p.line(s, "CACHED")
	default:
		p.line(s, "DONE %s", s.seconds())
	}
}

func (p *plain) message(text string) {
	if p.current != 0 {
		fmt.Fprintln(p.out)
	}
	p.current = 0
	fmt.Fprintln(p.out, text)
}

func (p *plain) close() {}
