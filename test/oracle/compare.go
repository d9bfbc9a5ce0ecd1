package main

import (
	"errors"
	"fmt"
	"strings"
)

// pair is the two sides on one file system.
type pair struct {
	fs      string
	sides   [2]*side
	allCaps uint64
}

// open starts both sides.
func (pl *place) open(fs string) (*pair, error) {
	pr := &pair{fs: fs, sides: [2]*side{pl.realRoot(fs), pl.user(fs)}}
	for _, s := range pr.sides {
		if err := s.open(); err != nil {
			return nil, errors.Join(err, pr.close())
		}
	}
	return pr, nil
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

// difference tells where the outcomes differ; it is empty if they agree.
func difference(p program, root, user outcome) string {
	var b strings.Builder
	for i := range root.Results {
		if root.Results[i] != user.Results[i] {
			fmt.Fprintf(&b, "%s\n  root:       %s\n  subuidless: %s\n", p.Ops[i], root.Results[i], user.Results[i])
		}
	}
	for i := range max(len(root.Tree), len(user.Tree)) {
		r, u := line(root.Tree, i), line(user.Tree, i)
		if r != u {
			fmt.Fprintf(&b, "left\n  root:       %s\n  subuidless: %s\n", r, u)
		}
	}
	return b.String()
}

func line(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "nothing"
}
