// Command bench compares subuidless with native speed, with the other fakeroots in
// Debian, and with the bare round trip of a seccomp notification. See README.md in its
// directory.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

type options struct {
	rounds     int
	rows       pattern
	columns    pattern
	dir        string
	markdown   string
	svg        string
	subuidless string
	compare    comparisons
	aims       bool
	prepared   string
}

// pattern is a regular expression as a flag; an empty one matches everything.
type pattern struct{ *regexp.Regexp }

func (p *pattern) Set(text string) (err error) {
	p.Regexp, err = regexp.Compile(text)
	return err
}

func (p *pattern) String() string {
	if p.Regexp == nil {
		return ""
	}
	return p.Regexp.String()
}

func (p *pattern) matches(name string) bool {
	return p.Regexp == nil || p.MatchString(name)
}

func parseFlags() (options, error) {
	var o options
	flag.IntVar(&o.rounds, "rounds", 7, "time a quick row `N` times in each column, and a slow row half as often")
	flag.Var(&o.rows, "rows", "measure only the rows that match this `regexp`")
	flag.Var(&o.columns, "only", "measure only the columns that match this `regexp`")
	flag.StringVar(&o.dir, "dir", "/dev/shm", "create the work directory in this `directory`, preferably a tmpfs")
	flag.StringVar(&o.markdown, "md", "", "also write the table as Markdown to this `file`")
	flag.StringVar(&o.svg, "svg", "", "also draw the ratios to native as SVG in this `file`")
	flag.StringVar(&o.subuidless, "subuidless", "", "measure this `binary` instead of building one")
	flag.Var(&o.compare, "compare", "also measure another binary of subuidless, given as `NAME=BINARY` (repeatable)")
	flag.BoolVar(&o.aims, "aims", false, "after the table, list which aims are met")
	flag.StringVar(&o.prepared, "prepared", "", "measure in this prepared work `directory` (internal)")
	flag.Parse()
	if flag.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if o.rounds < 1 {
		return o, fmt.Errorf("-rounds %d: at least 1", o.rounds)
	}
	return o, nil
}

func main() {
	o, err := parseFlags()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	stage := prepare
	if o.prepared != "" {
		stage = measure
	}
	if err := stage(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
