package sidecar

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// List writes a table of what the sidecar in the directory dir holds, with the paths of the
// inodes that are in the trees.
func List(dir string, trees []Tree, out io.Writer) error {
	side, err := owner.OpenSidecar(dir)
	if err != nil {
		return err
	}
	entries, err := side.Entries()
	if err != nil {
		return err
	}
	var paths map[string][]string // by the entry's name
	if len(trees) > 0 {
		if err := runHelper(request{Command: "find", Sidecar: dir, Trees: trees}, nil, nil, &paths); err != nil {
			return err
		}
	}
	return writeTable(out, entries, paths, time.Now())
}

// find returns the paths of the inodes of entries, by the entry's name.
func (h *helper) find() (any, error) {
	entries, err := h.side.Entries()
	if err != nil {
		return nil, err
	}
	idx := newIndex(entries)
	paths := map[string][]string{}
	for _, t := range h.Trees {
		err := t.walk(func(i *inode) error {
			candidates, k, err := idx.lookUp(i)
			if err != nil {
				warn(filepath.Join(t.Name, i.path), err)
			}
			for _, e := range candidates {
				if e.Inode == k {
					paths[e.Name] = append(paths[e.Name], filepath.Join(t.Name, i.path))
				}
			}
			return nil
		}, func(path string, err error) { warn(path, err) })
		if err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// writeTable writes one line for each entry and each of its paths.
func writeTable(out io.Writer, entries []owner.Entry, paths map[string][]string, now time.Time) error {
	slices.SortFunc(entries, func(a, b owner.Entry) int {
		return cmp.Or(b.Modified.Compare(a.Modified), cmp.Compare(a.Name, b.Name))
	})
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ENTRY\tHOLDS\tOWNER\tAGE\tPATH")
	for _, e := range entries {
		found := paths[e.Name]
		switch {
		case len(found) > 0:
		case e.Volatile:
			found = []string{"(in memory)"}
		default:
			found = []string{"-"}
		}
		for _, path := range found {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", e.Name, holds(&e), ownerOf(&e), age(now.Sub(e.Modified)), path)
		}
	}
	return w.Flush()
}

// holds says in a word what an entry holds: "attributes", "owner", or a device such as
// "c:5:0".
func holds(e *owner.Entry) string {
	switch {
	case e.Attributes:
		return "attributes"
	case e.Type == 0:
		return "owner"
	}
	return device(&e.Record)
}

// device returns the device of a record, such as "c:5:0".
func device(r *owner.Record) string {
	letter := 'c'
	if r.Type == unix.S_IFBLK {
		letter = 'b'
	}
	return fmt.Sprintf("%c:%d:%d", letter, unix.Major(r.Rdev), unix.Minor(r.Rdev))
}

// ownerOf returns the owner in an entry, such as "42:43". "-" stands for an id that the
// entry does not hold.
func ownerOf(e *owner.Entry) string {
	if e.Attributes {
		return "-"
	}
	return id(e.UID) + ":" + id(e.GID)
}

func id(n uint32) string {
	if n == owner.Noop {
		return "-"
	}
	return fmt.Sprint(n)
}

// age rounds a duration to its largest unit, such as "3d".
func age(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		letter string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d >= unit.length {
			return fmt.Sprint(int64(d/unit.length), unit.letter)
		}
	}
	return fmt.Sprint(int64(max(d, 0)/time.Second), "s")
}
