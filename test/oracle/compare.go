package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// pair is the two sides on one file system.
type pair struct {
	pl      *place
	fs      string
	sides   [2]*side
	allCaps uint64
}

// open starts both sides. All are the capabilities that real root has.
func (pl *place) open(fs string, all uint64) (*pair, error) {
	if fs == "ext4" {
		if err := pl.isExt4(); err != nil {
			return nil, err
		}
	}
	pr := &pair{pl: pl, fs: fs, sides: [2]*side{pl.realRoot(fs), pl.user(fs)}, allCaps: all}
	for _, s := range pr.sides {
		if err := s.open(); err != nil {
			return nil, errors.Join(err, pr.close())
		}
	}
	return pr, nil
}

// restart ends the sides, which run starts again, and removes the sidecar.
func (pr *pair) restart() error {
	return errors.Join(pr.close(), os.RemoveAll(pr.pl.sidecar()))
}

func (pr *pair) close() error { return errors.Join(pr.sides[0].close(), pr.sides[1].close()) }

// run has both sides execute the program, at the same time. A side that has failed is started again.
func (pr *pair) run(p program) (root, user outcome, err error) {
	w, err := encode(p, pr.sides[0].imageSize, pr.allCaps)
	if err != nil {
		return outcome{}, outcome{}, err
	}
	for _, s := range pr.sides {
		if s.cmd == nil {
			if err := s.open(); err != nil {
				return outcome{}, outcome{}, err
			}
		}
	}
	done := make(chan error)
	go func() {
		var err error
		user, err = pr.sides[1].run(p, w)
		done <- err
	}()
	root, err = pr.sides[0].run(p, w)
	return root, user, errors.Join(err, <-done)
}

// useless is said of a program that waits for something that never comes.
const useless = "real root hangs\n"

// ask runs a program, and tells how the sides differ: not at all if it is empty. An operation that hangs, or an interpreter that
// ends, is a difference too.
func (pr *pair) ask(p program) string {
	_, d := pr.compare(p)
	return d
}

// compare is ask, and returns what real root saw.
func (pr *pair) compare(p program) (root outcome, difference string) {
	root, user, err := pr.run(p)
	switch {
	case err != nil:
		err = errors.Join(err, pr.close()) // both start afresh: in the same directory of an overlay
		return outcome{}, err.Error() + "\n"
	case root.Hung:
		return root, useless
	}
	return root, differences(p, root, user)
}

// differs tells whether p is a program, and one that differs.
func (pr *pair) differs(p program) bool {
	if _, err := encode(p, pr.sides[0].imageSize, pr.allCaps); err != nil {
		return false
	}
	d := pr.ask(p)
	return d != "" && d != useless
}

// differences tells where the outcomes differ; it is empty if they agree.
func differences(p program, root, user outcome) string {
	var b strings.Builder
	for i := range root.Results {
		if root.Results[i] != user.Results[i] {
			fmt.Fprintf(&b, "%s\n  root:       %s\n  subuidless: %s\n", p.Ops[i], root.Results[i], user.Results[i])
		}
	}
	trees := [2]map[string]string{byPath(root.Tree), byPath(user.Tree)}
	for _, path := range slices.Sorted(maps.Keys(merge(trees[0], trees[1]))) {
		if r, u := trees[0][path], trees[1][path]; r != u {
			fmt.Fprintf(&b, "%s is left\n  root:       %s\n  subuidless: %s\n", path, r, u)
		}
	}
	return b.String()
}

// byPath has the descriptions of files by their paths.
func byPath(lines []string) map[string]string {
	m := make(map[string]string)
	for _, line := range lines {
		path, description, _ := strings.Cut(line, ": ")
		m[path] = description
	}
	return m
}

func merge(a, b map[string]string) map[string]string {
	m := maps.Clone(a)
	maps.Copy(m, b)
	return m
}
