package transfer

import (
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/sys/unix"
)

// Progress shows how far several transfers are.
type Progress interface {
	// Start shows a new transfer of total bytes.
	Start(label string, total int64) Bar
	// Wait waits until the last state is visible. No transfer is running.
	Wait()
}

// Bar shows one transfer. Its methods may be called by several goroutines.
type Bar interface {
	Add(n int64) // n more bytes have been transferred
	End(ok bool) // the transfer has ended
}

// NewProgress returns a Progress that shows bars if f is a terminal, lines otherwise, and
// nothing if quiet.
func NewProgress(f *os.File, quiet bool) Progress {
	switch {
	case quiet:
		return silent{}
	case isTerminal(f):
		return &bars{mpb.New(mpb.WithOutput(f), mpb.WithWidth(40), mpb.WithAutoRefresh())}
	}
	return &lines{out: f}
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

type silent struct{}

func (silent) Start(string, int64) Bar { return silent{} }
func (silent) Wait()                   {}
func (silent) Add(int64)               {}
func (silent) End(bool)                {}

// bars shows a bar for each transfer.
type bars struct{ p *mpb.Progress }

type bar struct {
	b     *mpb.Bar
	total int64
}

func (p *bars) Start(label string, total int64) Bar {
	b := p.p.AddBar(max(total, 0),
		mpb.PrependDecorators(decor.Name(label, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f")))
	return &bar{b, total}
}

func (p *bars) Wait() { p.p.Wait() }

func (b *bar) Add(n int64) { b.b.IncrInt64(n) }

func (b *bar) End(ok bool) {
	if !ok {
		b.b.Abort(false)
		return
	}
	b.b.SetTotal(-1, true)
}

// lines prints a line when a transfer has ended.
type lines struct {
	mu  sync.Mutex // protects out
	out io.Writer
}

type line struct {
	p     *lines
	label string
	total int64
}

func (p *lines) Start(label string, total int64) Bar { return &line{p, label, total} }
func (p *lines) Wait()                               {}

func (l *line) Add(int64) {}

func (l *line) End(ok bool) {
	if !ok {
		return // the error is reported
	}
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	fmt.Fprintf(l.p.out, "%s: %s\n", l.label, Bytes(l.total))
}

// Bytes returns a number of bytes as docker prints it.
func Bytes(n int64) string {
	value, unit := float64(n), "B"
	for _, larger := range []string{"kB", "MB", "GB", "TB"} {
		if value < 1000 {
			break
		}
		value, unit = value/1000, larger
	}
	if unit == "B" {
		return fmt.Sprintf("%dB", n)
	}
	return fmt.Sprintf("%.3g%s", value, unit)
}
