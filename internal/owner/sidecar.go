package owner

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/sys"
)

// Sidecar is a directory with the records of inodes that cannot carry one in an extended
// attribute, because their file system does not support it. Earlier versions kept the records
// of all symbolic links, FIFOs, sockets and devices here.
//
// An entry is a symbolic link. Its name identifies the inode (see key). Its target is
// "UID:GID" or, for the placeholder of a device, "UID:GID:c:MAJOR:MINOR" (b for a block
// device). ACLs have no room in it. Attribute files are in the directory, too: see
// attributefile.go.
//
// All containers of a user share the directory, without a lock or a daemon. What makes
// that safe:
//   - symlinkat(2) creates an entry only if there is none, renameat(2) replaces one
//     atomically, and a single readlinkat(2) reads it. Of two writers of the same entry,
//     one wins; readers see the old record or a new one, never a mix.
//   - Hints say what the sidecar does not have: see hints.go. A reader that sees that there is
//     nothing skips the look-up. A writer changes the hint before it creates an entry, and once
//     more afterwards.
//   - The fields of Sidecar are constant after OpenSidecar.
type Sidecar struct {
	dir      int   // O_PATH descriptor: entries of inodes that outlive a reboot
	volatile int   // O_PATH descriptor: entries of other inodes (pipes, terminals), for this boot; -1 if dir is read-only
	hints    hints // about both
}

// inUse reports whether there may be an entry. It is false for a nil Sidecar.
func (s *Sidecar) inUse() bool { return s != nil && s.hints.mayHave(hintEntries) }

// dirOf returns the directory where the entry of k belongs.
func (s *Sidecar) dirOf(k *key) int {
	if k.volatile {
		return s.volatile
	}
	return s.dir
}

// get fills r with the entry of an inode, and reports whether there is a valid one.
func (s *Sidecar) get(k *key, r *Record) bool {
	var target [maxEntry]byte
	n, e := sys.Readlinkat(s.dirOf(k), &k.name[0], target[:])
	return e == 0 && n < maxEntry && r.parseEntry(target[:n])
}

// noteEntry makes it known that the inode of k may have an entry.
func (s *Sidecar) noteEntry(k *key) {
	s.hints.noteInode(k.numbers[1])
	s.hints.note(hintEntries)
}

// set makes r the entry of an inode. The error is EOPNOTSUPP if r has ACLs, or that of
// symlinkat(2) or renameat(2).
func (s *Sidecar) set(k *key, r *Record) unix.Errno {
	if r.hasACL() {
		return unix.EOPNOTSUPP
	}
	if s.dirOf(k) < 0 {
		return unix.EROFS
	}
	var target [maxEntry]byte
	_ = append(r.appendEntry(target[:0]), 0)
	s.noteEntry(k)       // before the entry can be seen
	defer s.noteEntry(k) // see Settle
	e := sys.Symlinkat(&target[0], s.dirOf(k), &k.name[0])
	if e != unix.EEXIST {
		return e
	}
	fresh := k.name
	end := bytes.IndexByte(fresh[:], 0)
	copy(fresh[end:], ".new\x00")
	for {
		e = sys.Symlinkat(&target[0], s.dirOf(k), &fresh[0])
		if e == unix.EEXIST {
			// Left by a process that was killed here, or in use by one that is here
			// now. That one then finds it missing (ENOENT below), and tries again.
			sys.Unlinkat(s.dirOf(k), &fresh[0], 0)
			continue
		}
		if e != 0 {
			return e
		}
		e = sys.Renameat(s.dirOf(k), &fresh[0], s.dirOf(k), &k.name[0])
		if e != unix.ENOENT {
			return e
		}
	}
}

// remove removes the entry of an inode. It is no error if there is none.
func (s *Sidecar) remove(k *key) unix.Errno {
	if e := sys.Unlinkat(s.dirOf(k), &k.name[0], 0); e != unix.ENOENT {
		return e
	}
	return 0
}
