package sidecar

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// CollectOptions are the options of Collect.
type CollectOptions struct {
	Dir    string // the sidecar's
	Trees  []Tree // at least one
	DryRun bool   // change nothing
	// Complete says that the trees have all inodes that may have an entry, so that the others
	// no longer exist.
	Complete bool
}

// collected is what a helper has found out about the entries of a sidecar.
type collected struct {
	Moved    []string // paths of inodes that carry their records themselves now
	Replaced []string // names of entries whose inodes' numbers belong to other inodes now
	Absent   []string // names of entries whose inodes are in no tree
	Settled  bool     // the trees have not changed meanwhile
}

// Collect makes the sidecar smaller. It moves entries into inodes that can carry them, and
// removes those of inodes that no longer exist. It writes a line about each to out.
//
// An inode no longer exists if its number belongs to another inode, which was born after the
// entry had been written. With Complete, it does not exist either if no tree has it. Entries
// of inodes that a process has open stay, and so do those of other devices than the trees',
// and those that end with this boot.
func Collect(o CollectOptions, out io.Writer) error {
	var found collected
	if err := runHelper(request{Command: "collect", Sidecar: o.Dir, Trees: o.Trees, DryRun: o.DryRun}, nil, nil, &found); err != nil {
		return err
	}
	side, err := owner.OpenSidecar(o.Dir)
	if err != nil {
		return err
	}
	entries, err := side.Entries()
	if err != nil {
		return err
	}
	gone := map[string]bool{}
	for _, name := range found.Replaced {
		gone[name] = true
	}
	if o.Complete {
		if !found.Settled {
			return errors.New("files are being created, moved or removed in the trees: it is not sure which inodes no longer exist; try again, or stop the programs that do it")
		}
		for _, name := range found.Absent {
			gone[name] = true
		}
	}
	open, err := openInodes(entries, gone)
	if err != nil {
		return err
	}
	move, remove := "moved into the inode:", "removed:"
	if o.DryRun {
		move, remove = "would move into the inode:", "would remove:"
	}
	for _, path := range found.Moved {
		fmt.Fprintln(out, move, path)
	}
	removed := 0
	for _, e := range entries {
		if !gone[e.Name] || open[e.Inode] {
			continue
		}
		if !o.DryRun {
			if err := side.Remove(e); err != nil {
				return err
			}
		}
		removed++
		fmt.Fprintf(out, "%s %s (%s %s)\n", remove, e.Name, holds(&e), ownerOf(&e))
	}
	left := len(entries) - removed
	if o.DryRun {
		fmt.Fprintf(out, "would move %d, would remove %d, %d would be left\n", len(found.Moved), removed, left-len(found.Moved))
		return nil
	}
	fmt.Fprintf(out, "moved %d, removed %d, %d left\n", len(found.Moved), removed, left)
	return side.Settle()
}

// openInodes returns which of the inodes of the named entries processes of the user have open,
// or as their working or root directory or their program.
func openInodes(entries []owner.Entry, names map[string]bool) (map[owner.Key]bool, error) {
	numbers := map[uint64]bool{}
	for _, e := range entries {
		if names[e.Name] {
			numbers[e.Inode.Inode] = true
		}
	}
	open := map[owner.Key]bool{}
	if len(numbers) == 0 {
		return open, nil
	}
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, p := range processes {
		if _, err := strconv.Atoi(p.Name()); err != nil {
			continue
		}
		// Not readable: the process has ended, or belongs to another user.
		tasks, _ := os.ReadDir(filepath.Join("/proc", p.Name(), "task"))
		for _, t := range tasks {
			dir := filepath.Join("/proc", p.Name(), "task", t.Name())
			links := []string{filepath.Join(dir, "cwd"), filepath.Join(dir, "root"), filepath.Join(dir, "exe")}
			files, _ := os.ReadDir(filepath.Join(dir, "fd"))
			for _, f := range files {
				links = append(links, filepath.Join(dir, "fd", f.Name()))
			}
			for _, link := range links {
				var st unix.Statx_t
				// A file server that does not answer must not stop this process.
				if unix.Statx(unix.AT_FDCWD, link, unix.AT_STATX_DONT_SYNC, unix.STATX_INO, &st) != nil || !numbers[st.Ino] {
					continue
				}
				if k, err := owner.KeyOfPath(link); err == nil {
					open[k] = true
				}
			}
		}
	}
	return open, nil
}

// maxWalks limits how often collect walks trees that keep changing.
const maxWalks = 5

// collect moves entries into inodes, and finds those of inodes that may no longer exist.
//
// A file that is moved during a walk, from a directory not yet read to one that has been, is
// missed. So collect walks the trees until no directory has changed between two walks: then both
// have seen every file.
func (h *helper) collect() (any, error) {
	entries, err := h.side.Entries()
	if err != nil {
		return nil, err
	}
	c := collector{
		helper: h, index: newIndex(entries), devices: map[uint64]bool{},
		found: map[string]bool{}, replaced: map[string]bool{}, moved: map[string]bool{},
	}
	var result collected
	var before map[string]unix.Timespec
	for range maxWalks {
		c.changed = map[string]unix.Timespec{}
		for _, t := range h.Trees {
			if err := t.walk(func(i *inode) error { return c.visit(t, i) }, c.unreadable); err != nil {
				return nil, err
			}
		}
		if maps.Equal(before, c.changed) {
			result.Settled = true
			break
		}
		before = c.changed
	}
	for _, e := range entries {
		switch {
		case e.Volatile, c.found[e.Name], e.Inode.Device != 0 && !c.devices[e.Inode.Device]:
		case c.replaced[e.Name]:
			result.Replaced = append(result.Replaced, e.Name)
		case !c.incomplete:
			result.Absent = append(result.Absent, e.Name)
		}
	}
	result.Moved = c.paths
	return result, nil
}

// collector is the state of collect.
type collector struct {
	*helper
	index
	devices    map[uint64]bool          // of the trees
	changed    map[string]unix.Timespec // when each directory has changed
	found      map[string]bool          // entries whose inodes exist
	replaced   map[string]bool          // entries whose inodes' numbers other inodes have
	moved      map[string]bool          // entries that have been moved
	paths      []string                 // of the inodes of moved
	incomplete bool                     // a directory could not be read
}

func (c *collector) unreadable(path string, err error) {
	if !c.incomplete {
		warn(path, fmt.Sprintf("%v: entries of inodes that are not found are kept", err))
	}
	c.incomplete = true
}

// visit looks at an inode of the tree t.
func (c *collector) visit(t Tree, i *inode) error {
	path := filepath.Join(t.Name, i.path)
	if i.kind() == unix.S_IFDIR {
		c.changed[filepath.Join(t.Path, i.path)] = i.stat.Ctim
		if i.path == "." {
			if k, err := owner.KeyOf(i.fd); err == nil && k.Device != 0 {
				c.devices[k.Device] = true
			}
		}
	}
	candidates, k, err := c.lookUp(i)
	if err != nil {
		c.unreadable(path, err)
		return nil
	}
	for _, e := range candidates {
		switch {
		case e.Inode == k:
			c.found[e.Name] = true
			if err := c.move(e, i, path); err != nil {
				return err
			}
		case e.Inode.Device != 0 && e.Inode.Device == k.Device && k.Birth > uint64(e.Modified.UnixNano()):
			c.replaced[e.Name] = true
		}
	}
	return nil
}

// move moves an entry into its inode i.
func (c *collector) move(e *owner.Entry, i *inode, path string) error {
	if e.Attributes || c.moved[e.Name] {
		return nil
	}
	moved := c.DryRun
	if !c.DryRun {
		var errno unix.Errno
		if moved, errno = c.store.MoveToInode(i.fd, i.stat.Mode); errno != 0 && errno != unix.EROFS {
			return &os.PathError{Op: "move the record into", Path: path, Err: errno}
		}
	}
	if moved {
		c.moved[e.Name] = true
		c.paths = append(c.paths, path)
	}
	return nil
}
