// Command oracle is a differential fuzzer: it runs random programs of system calls about
// files, identities and IPC objects both as real root and under subuidless, as a user without
// subordinate ids. The kernel is the oracle: both must see the same.
//
//	go run ./test/oracle -n 1000 -seed 1 -fs ext4,tmpfs,overlay
//	go run ./test/oracle FILE...
//
// See docs/internals/oracle.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/test/freeid"
)

func main() {
	runtime.LockOSThread() // PR_SET_PDEATHSIG of the sides, and newPlace, refer to this thread
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

// options are the options of the command line.
type options struct {
	n       int
	seed    uint64
	fs      []string
	without map[string]bool
	keep    string
	dir     string
	use     binaries
	print   bool
	covered bool
	fast    bool
	most    int
	files   []string
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("oracle", flag.ContinueOnError)
	flags.IntVar(&o.n, "n", 1000, "run this `number` of programs on each file system")
	flags.Uint64Var(&o.seed, "seed", 1, "the seed of the first program; it increases by one for each program")
	fs := flags.String("fs", "ext4,tmpfs,overlay", "the file systems, separated by commas: these, btrfs and xfs")
	without := flags.String("without", "", "features that programs must not use, separated by commas: "+strings.Join(features, ","))
	flags.StringVar(&o.keep, "keep", "", "write programs that differ, shrunk, to this `directory`")
	flags.StringVar(&o.dir, "dir", "/var/tmp", "work in this `directory`; images of the file systems on disk that it is not on are mounted in it")
	flags.StringVar(&o.use.subuidless, "subuidless", "", "test this `program` instead of building one")
	flags.StringVar(&o.use.interpreter, "interpreter", "", "use this `program`, test/oracle/interpreter as a static program, instead of building one with gcc")
	flags.BoolVar(&o.print, "print", false, "print the programs instead of running them")
	flags.BoolVar(&o.covered, "coverage", false, "at the end, print how often each call gave which error")
	flags.BoolVar(&o.fast, "accelerate", false, "accelerate the processes of subuidless, at their first call")
	flags.IntVar(&o.most, "most", 10, "stop after this `number` of programs that differ")
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
	uid, reservation, err := freeid.Reserve()
	if err != nil {
		return err
	}
	defer reservation.Close()
	pl, err := newPlace(o.dir, o.use, uid)
	if err != nil {
		return err
	}
	pl.accelerated = o.fast
	defer func() { err = errors.Join(err, pl.remove()) }()
	differ := 0
	for _, fs := range o.fs {
		n, err := o.on(pl, fs, all)
		if err != nil {
			return err
		}
		differ += n
	}
	if differ > 0 {
		return fmt.Errorf("%d programs differ", differ)
	}
	return nil
}

// on runs all programs on a file system and returns how many differ.
func (o options) on(pl *place, fs string, all uint64) (differ int, err error) {
	pr, err := pl.open(fs, all)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, pr.close()) }()
	if len(o.files) > 0 {
		return o.replay(pr)
	}
	reached := make(coverage)
	start := time.Now()
	without := withoutOn(fs, o.without)
	n := 0
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, unix.SIGINT, unix.SIGTERM)
	defer signal.Stop(interrupted)
	for ; n < o.n && differ < o.most && len(interrupted) == 0; n++ {
		if n%batch == batch-1 {
			if err := pr.restart(); err != nil {
				return differ, err
			}
		}
		seed := o.seed + uint64(n)
		p := generate(seed, without)
		root, d := pr.compare(p)
		reached.add(p, root)
		if d != "" {
			differ++
			if err := o.report(pr, seed, p, d); err != nil {
				return differ, err
			}
		}
	}
	fmt.Printf("%s: %d of %d programs differ, from seed %d; %.1f s, %.2f ms each\n", fs, differ, n, o.seed, time.Since(start).Seconds(), time.Since(start).Seconds()*1000/float64(n))
	if o.covered {
		fmt.Print(reached)
	}
	return differ, nil
}

// withoutOn adds the features that a file system does not have.
func withoutOn(fs string, without map[string]bool) map[string]bool {
	all := map[string]bool{"lower": fs != "overlay"}
	maps.Copy(all, without)
	return all
}

// batch is the number of programs after which the interpreters restart, because the
// sidecar keeps records of removed files.
const batch = 5000

// report shrinks a program that differs, prints it and stores it.
func (o options) report(pr *pair, seed uint64, p program, d string) error {
	for range 2 {
		if again := pr.difference(p); again == "" {
			fmt.Printf("seed %d on %s: FLAKY, it differed once:\n%s%s\n", seed, pr.fs, p, d)
			return nil
		}
	}
	p = shrink(p, pr.differs)
	d = pr.difference(p)
	fmt.Printf("seed %d on %s differs:\n%s%s\n", seed, pr.fs, p, d)
	if o.keep == "" {
		return nil
	}
	_, err := keep(o.keep, pr.fs, seed, p, d)
	return err
}

// replay runs the files of the command line and prints what both sides see.
func (o options) replay(pr *pair) (differ int, err error) {
	for _, name := range o.files {
		p, err := readProgram(name)
		if err != nil {
			return differ, err
		}
		root, user, err := pr.run(p)
		if err != nil {
			return differ, err
		}
		fmt.Printf("%s on %s:\n", name, pr.fs)
		for i, op := range p.Ops {
			fmt.Printf("%s = %s\n", op, root.Results[i])
		}
		fmt.Println(strings.Join(root.Tree, "\n"))
		if d := differences(p, root, user); d != "" {
			differ++
			fmt.Printf("differs:\n%s", d)
		}
	}
	return differ, nil
}

// realCaps returns the capabilities of real root on this machine, and sets missingCaps.
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
