package progress

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/mattn/go-runewidth"
	"golang.org/x/sys/unix"
)

// terminal shows running steps, with their last lines of output, at the bottom of the terminal.
// What is done scrolls away above.
type terminal struct {
	out     *os.File
	mu      *sync.Mutex // that of the display
	running []*Step
	drawn   int // lines at the bottom that are redrawn
	quit    chan struct{}
}

// shownLines is the number of lines of output that are shown of a running step.
const shownLines = 5

// refresh is the time between two updates of the times of running steps.
const refresh = 200 * time.Millisecond

func newTerminal(out *os.File, mu *sync.Mutex) *terminal {
	t := &terminal{out: out, mu: mu, quit: make(chan struct{})}
	go t.refresh()
	return t
}

// refresh redraws from time to time.
func (t *terminal) refresh() {
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for {
		select {
		case <-t.quit:
			return
		case <-tick.C:
			t.mu.Lock()
			if len(t.running) > 0 {
				t.draw("")
			}
			t.mu.Unlock()
		}
	}
}

func (t *terminal) started(s *Step) {
	t.running = append(t.running, s)
	t.draw("")
}

func (t *terminal) output(*Step, string) {} // drawn by refresh

func (t *terminal) ended(s *Step) {
	t.running = slices.DeleteFunc(t.running, func(r *Step) bool { return r == s })
	switch {
	case s.err != nil:
		t.draw(t.titleLine("ERROR ", s))
	case s.cached:
		t.draw(t.titleLine("CACHED ", s))
	default:
		t.draw(t.titleLine("", s))
	}
}

func (t *terminal) message(text string) { t.draw(text + "\n") }

func (t *terminal) close() {
	close(t.quit)
	t.running = nil
	t.draw("")
}

// titleLine returns the line of a step.
func (t *terminal) titleLine(mark string, s *Step) string {
	seconds := s.seconds()
	width := t.width()
	title := runewidth.Truncate(" => "+mark+printable(s.Title), max(8, width-len(seconds)-2), "...")
	return runewidth.FillRight(title, max(0, width-len(seconds)-1)) + seconds + "\n"
}

func (t *terminal) width() int {
	if w, err := unix.IoctlGetWinsize(int(t.out.Fd()), unix.TIOCGWINSZ); err == nil && w.Col > 0 {
		return int(w.Col)
	}
	return 80
}

// draw replaces the lines at the bottom, and puts done above them for good.
func (t *terminal) draw(done string) {
	var b bytes.Buffer
	if t.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", t.drawn)
	}
	b.WriteString(done)
	t.drawn = 0
	width := t.width()
	for _, s := range t.running {
		b.WriteString(t.titleLine("", s))
		t.drawn++
		for _, line := range s.last[max(0, len(s.last)-shownLines):] {
			b.WriteString(runewidth.Truncate(" => => "+printable(line), width-1, "...") + "\n")
			t.drawn++
		}
	}
	_, _ = t.out.Write(b.Bytes()) // a terminal that is gone shows nothing
}

// printable returns a line without what would move the cursor.
func printable(line string) string {
	line = line[strings.LastIndexByte(strings.TrimRight(line, "\r"), '\r')+1:]
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, stripEscapes(line))
}

// stripEscapes removes control sequences: ECMA-48, 5.4.
func stripEscapes(line string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(line, "\x1b[")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		end := strings.IndexFunc(after, func(r rune) bool { return r >= 0x40 && r <= 0x7e })
		if end < 0 {
			return b.String()
		}
		line = after[end+1:]
	}
}
