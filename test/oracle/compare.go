package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// pair is the two sides, real root and subuidless, on one file system.
type pair struct {
	pl      *place
	fs      string
	sides   [2]*side
	allCaps uint64
}

// open starts both sides. all is the set of capabilities that real root has.
func (pl *place) open(fs string, all uint64) (*pair, error) {
	if disks[fs] != 0 {
		if err := pl.mount(fs); err != nil {
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

// restart ends the sides and removes the sidecar. run starts the sides again.
func (pr *pair) restart() error {
	return errors.Join(pr.close(), os.RemoveAll(pr.pl.sidecar()))
}

func (pr *pair) close() error { return errors.Join(pr.sides[0].close(), pr.sides[1].close()) }

// run executes the program on both sides at the same time. It restarts a side that has
// failed.
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

// hangsAnyway is the difference reported for a program that waits forever for real root,
// too.
const hangsAnyway = "real root hangs\n"

// difference runs a program and returns how the sides differ, or "". An operation that
// hangs and an interpreter that ends are differences, too.
func (pr *pair) difference(p program) string {
	_, d := pr.compare(p)
	return d
}

// compare does the same and also returns what real root saw.
func (pr *pair) compare(p program) (root outcome, difference string) {
	root, user, err := pr.run(p)
	switch {
	case err != nil:
		err = errors.Join(err, pr.close()) // restart both, so that they use the same directory of an overlay
		return outcome{}, err.Error() + "\n"
	case root.Hung:
		return root, hangsAnyway
	}
	return root, differences(p, root, user)
}

// differs reports whether p is a valid program whose results differ.
func (pr *pair) differs(p program) bool {
	if _, err := encode(p, pr.sides[0].imageSize, pr.allCaps); err != nil {
		return false
	}
	d := pr.difference(p)
	return d != "" && d != hangsAnyway
}

// differences lists where the outcomes differ. It is empty if they agree.
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
			fmt.Fprintf(&b, "%s afterwards\n  root:       %s\n  subuidless: %s\n", path, r, u)
		}
	}
	return b.String()
}

// byPath maps the paths of files to their descriptions.
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
