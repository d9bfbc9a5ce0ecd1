// Command oracle runs random programs over files and identities by real root and, under
// subuidless, by an uid without subordinate ids. The kernel is the oracle: both must see the same.
//
//	go run ./test/oracle -n 1000 -seed 1 -fs ext4,tmpfs,overlay
//
// docs/oracle.md tells more.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	runtime.LockOSThread() // PR_SET_PDEATHSIG of the sides is about this thread
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

// options are those of the command line.
type options struct {
	n       int
	seed    uint64
	fs      []string
	without map[string]bool
	keep    string
	dir     string
	uid     int
	print   bool
	most    int
	files   []string
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("oracle", flag.ContinueOnError)
	flags.IntVar(&o.n, "n", 1000, "how many programs on each file system")
	flags.Uint64Var(&o.seed, "seed", 1, "the seed of the first program; the next has the next number")
	fs := flags.String("fs", "ext4,tmpfs,overlay", "the file systems")
	without := flags.String("without", "", "what programs are not to use: "+strings.Join(features, ","))
	flags.StringVar(&o.keep, "keep", "", "write programs that differ to this `directory`, shrunk")
	flags.StringVar(&o.dir, "dir", "/var/tmp", "work in this `directory`, which is on ext4")
	flags.IntVar(&o.uid, "uid", 4390, "the uid that runs subuidless")
	flags.BoolVar(&o.print, "print", false, "print the programs instead of running them")
	flags.IntVar(&o.most, "most", 10, "end after so many programs that differ")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	o.fs = strings.Split(*fs, ",")
	o.without = make(map[string]bool)
	for name := range strings.SplitSeq(*without, ",") {
		if name != "" && !slices.Contains(features, name) {
			return options{}, fmt.Errorf("-without: no such feature: %s", name)
		}
		o.without[name] = true
	}
	delete(o.without, "")
	o.files = flags.Args()
	return o, nil
}

func run(args []string) (err error) {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if o.print {
		for i := range o.n {
			fmt.Printf("# seed %d\n%s\n", o.seed+uint64(i), generate(o.seed+uint64(i), o.without))
		}
		return nil
	}
	all, err := realCaps()
	if err != nil {
		return err
	}
	pl, err := newPlace(o.dir, o.uid)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pl.remove()) }()
	for _, fs := range o.fs {
		if err := o.on(pl, fs, all); err != nil {
			return err
		}
	}
	return nil
}

// on runs all programs on a file system.
func (o options) on(pl *place, fs string, all uint64) (err error) {
	pr, err := pl.open(fs)
	if err != nil {
		return err
	}
	pr.allCaps = all
	defer func() { err = errors.Join(err, pr.close()) }()
	start := time.Now()
	differ := 0
	for i := range o.n {
		seed := o.seed + uint64(i)
		p := generate(seed, o.without)
		root, user, err := pr.run(p)
		if err != nil {
			fmt.Printf("seed %d on %s: %v\n%s\n", seed, fs, err, p)
			differ++
		} else if d := difference(p, root, user); d != "" {
			differ++
			p, d = shrink(pr, p, d)
			fmt.Printf("seed %d on %s differs:\n%s%s\n", seed, fs, p, d)
		}
		if differ >= o.most {
			break
		}
	}
	fmt.Printf("%s: %d of %d programs differ, %.2f ms each\n", fs, differ, o.n, float64(time.Since(start).Microseconds())/1000/float64(o.n))
	return nil
}

// realCaps are the capabilities of real root on this machine.
func realCaps() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return 0, fmt.Errorf("capget: %w", err)
	}
	all := uint64(sets[0].Permitted) | uint64(sets[1].Permitted)<<32
	missingCaps = ^all
	return all, nil
}
