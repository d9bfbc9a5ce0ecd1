package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// checker makes system calls in a directory of its own, as root, and knows what each must give: it
// has a model of all inodes there.
type checker struct {
	reporter
	rand  *rand.Rand
	names map[string]*inode
	next  int // number of the next new name
	task  *killable
}

// inode is what the model knows of an inode.
type inode struct {
	mode     uint32 // with the type
	uid, gid uint32
	links    uint64 // names in the model
	rdev     uint64
	size     int64
	target   string // of a symbolic link
	label    string // value of the attribute user.soak; empty: none
}

func (i *inode) kind() uint32 { return i.mode & unix.S_IFMT }

// checkMain checks until standard input ends.
func checkMain(j job) error {
	unix.Umask(0)
	c := &checker{reporter: newReporter(j.name), rand: j.rand(), names: map[string]*inode{}}
	if err := c.prepare(); err != nil {
		return err
	}
	err := c.untilStopped(c.step)
	c.task.end(c)
	c.verifyAll()
	c.removeAll()
	return errors.Join(err, c.finish())
}

// prepare makes what the steps use: a file of root's alone, and a task that can be killed, with its
// file.
func (c *checker) prepare() error {
	err := errors.Join(os.WriteFile("secret", []byte("secret"), 0o600), os.WriteFile(taskFile, nil, 0o644))
	if err == nil {
		c.task, err = startKillable()
	}
	return err
}

// steps are the kinds of steps, the frequent ones several times.
var steps = []func(*checker){
	(*checker).create, (*checker).create, (*checker).create, (*checker).create,
	(*checker).chown, (*checker).chown, (*checker).chown, (*checker).chown,
	(*checker).chmod, (*checker).chmod,
	(*checker).look, (*checker).look, (*checker).look, (*checker).look,
	(*checker).rename, (*checker).rename, (*checker).exchange, (*checker).link,
	(*checker).remove, (*checker).remove, (*checker).remove,
	(*checker).write, (*checker).label, (*checker).list, (*checker).existing, (*checker).missing,
}

// The rare steps take longer: one of rareEvery steps.
var rare = []func(*checker){(*checker).user, (*checker).watchTask, (*checker).verifyAll}

const rareEvery = 200

func (c *checker) step() {
	if c.rand.IntN(rareEvery) == 0 {
		rare[c.rand.IntN(len(rare))](c)
		return
	}
	steps[c.rand.IntN(len(steps))](c)
}

// maxNames is how many names the model has at most.
const maxNames = 100

// newName returns a name that does not exist.
func (c *checker) newName() string {
	c.next++
	return fmt.Sprintf("f%d", c.next)
}

// some returns a name of the model, and its inode; or nil if it has none.
func (c *checker) some() (string, *inode) {
	if len(c.names) == 0 {
		return "", nil
	}
	names := c.sorted() // for the same steps with the same seed
	name := names[c.rand.IntN(len(names))]
	return name, c.names[name]
}

func (c *checker) sorted() []string {
	names := make([]string, 0, len(c.names))
	for name := range c.names {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (c *checker) create() {
	if len(c.names) >= maxNames {
		c.remove()
		return
	}
	name, i := c.newName(), &inode{links: 1}
	perm := c.rand.Uint32N(0o1000)
	var err error
	switch c.rand.IntN(6) {
	case 0:
		var fd int
		i.mode = unix.S_IFREG | perm
		if fd, err = unix.Open(name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, perm); err == nil {
			unix.Close(fd)
		}
	case 1:
		i.mode = unix.S_IFDIR | perm
		i.links = 2
		err = unix.Mkdir(name, perm)
	case 2:
		i.mode, i.target = unix.S_IFLNK|0o777, fmt.Sprintf("target of %s", name)
		i.size = int64(len(i.target))
		err = unix.Symlink(i.target, name)
	case 3:
		i.mode = unix.S_IFIFO | perm
		err = unix.Mkfifo(name, perm)
	case 4:
		i.mode, i.rdev = unix.S_IFCHR|perm, unix.Mkdev(1, 7+c.rand.Uint32N(2))
		err = unix.Mknod(name, i.mode, int(i.rdev))
	case 5:
		i.mode, i.rdev = unix.S_IFBLK|perm, unix.Mkdev(7, c.rand.Uint32N(256))
		err = unix.Mknod(name, i.mode, int(i.rdev))
	}
	if c.call(nil, err, "creating %s with mode %o", name, i.mode) {
		c.names[name] = i
		c.verify(name)
	}
}

// id returns an id that chown accepts.
func (c *checker) id() uint32 {
	ids := []uint32{0, 1, 33, 1000, 65534, 65535, 100000, 1<<31 + 7, 1<<32 - 2}
	return ids[c.rand.IntN(len(ids))]
}

func (c *checker) chown() {
	name, i := c.some()
	if i == nil {
		return
	}
	uid, gid := int(c.id()), int(c.id())
	switch c.rand.IntN(4) {
	case 0:
		uid = -1
	case 1:
		gid = -1
	}
	if !c.call(nil, unix.Lchown(name, uid, gid), "lchown(%s, %d, %d)", name, uid, gid) {
		return
	}
	if uid >= 0 {
		i.uid = uint32(uid)
	}
	if gid >= 0 {
		i.gid = uint32(gid)
	}
	// chown(2): "When the owner or group of an executable file is changed by an unprivileged
	// user, the S_ISUID and S_ISGID mode bits are cleared", and the kernel does it for root, too.
	if i.kind() != unix.S_IFDIR && i.kind() != unix.S_IFLNK {
		i.mode &^= unix.S_ISUID
		if i.mode&unix.S_IXGRP != 0 {
			i.mode &^= unix.S_ISGID
		}
	}
	c.verify(name)
}

func (c *checker) chmod() {
	name, i := c.some()
	if i == nil || i.kind() == unix.S_IFLNK {
		return
	}
	perm := c.rand.Uint32N(0o1000)
	if i.kind() == unix.S_IFREG && c.rand.IntN(4) == 0 {
		perm |= unix.S_ISUID | unix.S_ISGID
	}
	if c.call(nil, unix.Chmod(name, perm), "chmod(%s, %o)", name, perm) {
		i.mode = i.kind() | perm
		c.verify(name)
	}
}

func (c *checker) look() {
	if name, i := c.some(); i != nil {
		c.verify(name)
	}
}

// isDir reports whether an inode of the model is a directory. All are empty.
func isDir(i *inode) bool { return i.kind() == unix.S_IFDIR }

func (c *checker) rename() {
	from, i := c.some()
	if i == nil {
		return
	}
	to := c.newName()
	replaced, r := c.some()
	if r != nil && r != i && isDir(r) == isDir(i) && c.rand.IntN(2) == 0 {
		to = replaced
	}
	if !c.call(nil, unix.Rename(from, to), "rename(%s, %s)", from, to) {
		return
	}
	if to == replaced && r != nil {
		r.links--
	}
	delete(c.names, from)
	c.names[to] = i
	c.verify(to)
}

func (c *checker) exchange() {
	a, i := c.some()
	b, j := c.some()
	if i == nil || a == b {
		return
	}
	if c.call(nil, unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE), "exchanging %s and %s", a, b) {
		c.names[a], c.names[b] = j, i
		c.verify(a)
		c.verify(b)
	}
}

func (c *checker) link() {
	name, i := c.some()
	if i == nil || isDir(i) || len(c.names) >= maxNames {
		return
	}
	other := c.newName()
	if c.call(nil, unix.Link(name, other), "link(%s, %s)", name, other) {
		i.links++
		c.names[other] = i
		c.verify(other)
	}
}

func (c *checker) remove() {
	if name, i := c.some(); i != nil {
		c.unlink(name, i)
	}
}

func (c *checker) unlink(name string, i *inode) {
	flags := 0
	if isDir(i) {
		flags = unix.AT_REMOVEDIR
	}
	if !c.call(nil, unix.Unlinkat(unix.AT_FDCWD, name, flags), "removing %s", name) {
		return
	}
	i.links--
	delete(c.names, name)
	c.call(unix.ENOENT, unix.Access(name, unix.F_OK), "access(%s), which was removed", name)
}

// write appends to a file.
func (c *checker) write() {
	name, i := c.some()
	if i == nil || i.kind() != unix.S_IFREG {
		return
	}
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_APPEND|unix.O_CLOEXEC, 0)
	if !c.call(nil, err, "open %s to append", name) {
		return
	}
	defer unix.Close(fd)
	n, err := unix.Write(fd, make([]byte, c.rand.IntN(100)))
	if c.call(nil, err, "write to %s", name) {
		i.size += int64(n)
		c.verify(name)
	}
}

// label sets an extended attribute, and reads the previous one.
func (c *checker) label() {
	name, i := c.some()
	if i == nil || i.kind() != unix.S_IFREG && !isDir(i) {
		return
	}
	const attribute = "user.soak"
	b := make([]byte, 32)
	n, err := unix.Lgetxattr(name, attribute, b)
	switch {
	case i.label == "":
		c.call(unix.ENODATA, err, "getxattr(%s)", name)
	case c.call(nil, err, "getxattr(%s)", name) && string(b[:n]) != i.label:
		c.wrong("getxattr(%s): %q, want %q", name, b[:n], i.label)
	}
	label := fmt.Sprintf("%x", c.rand.Uint64())
	if c.call(nil, unix.Lsetxattr(name, attribute, []byte(label), 0), "setxattr(%s)", name) {
		i.label = label
	}
}

// list reads the directory.
func (c *checker) list() {
	entries, err := os.ReadDir(".")
	if !c.call(nil, err, "reading the directory") {
		return
	}
	found := 0
	for _, entry := range entries {
		i := c.names[entry.Name()]
		if i == nil {
			continue // of another step, see verifyAll
		}
		found++
		if got, want := entry.Type(), fileType(i.kind()); got != want {
			c.wrong("%s is listed with type %v, want %v", entry.Name(), got, want)
		}
	}
	if found != len(c.names) {
		c.wrong("the directory lists %d of %d names", found, len(c.names))
	}
}

// existing makes calls that fail because a name exists.
func (c *checker) existing() {
	name, i := c.some()
	if i == nil {
		return
	}
	c.call(unix.EEXIST, unix.Mkdir(name, 0o755), "mkdir(%s), which exists", name)
	c.call(unix.EEXIST, unix.Symlink("target", name), "symlink(%s), which exists", name)
	_, err := unix.Open(name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o644)
	c.call(unix.EEXIST, err, "creating %s, which exists", name)
}

// missing makes calls that fail because a name does not exist.
func (c *checker) missing() {
	name := c.newName()
	c.call(unix.ENOENT, unix.Chown(name, 1, 2), "chown(%s), which does not exist", name)
	c.call(unix.ENOENT, unix.Chmod(name, 0o600), "chmod(%s), which does not exist", name)
	c.call(unix.ENOENT, unix.Unlink(name), "unlink(%s), which does not exist", name)
	c.call(unix.ENOENT, unix.Mkdir(name+"/x", 0o755), "mkdir below %s, which does not exist", name)
}

// verify compares the status of a name with the model.
func (c *checker) verify(name string) {
	s, err := lstat(name, c.rand.IntN(ways))
	if !c.call(nil, err, "status of %s", name) {
		return
	}
	i := c.names[name]
	if s.mode != i.mode || s.uid != i.uid || s.gid != i.gid || s.rdev != i.rdev {
		c.done.Lost++
		c.say("%s: mode %o, owner %d:%d, device %#x; want %o, %d:%d, %#x", name, s.mode, s.uid, s.gid, s.rdev, i.mode, i.uid, i.gid, i.rdev)
		i.mode, i.uid, i.gid, i.rdev = s.mode, s.uid, s.gid, s.rdev // report it once
	}
	if !isDir(i) && (s.links != i.links || s.size != i.size) {
		c.wrong("%s: %d links and %d bytes, want %d and %d", name, s.links, s.size, i.links, i.size)
	}
	if i.kind() == unix.S_IFLNK {
		if target, err := os.Readlink(name); c.call(nil, err, "readlink(%s)", name) && target != i.target {
			c.wrong("readlink(%s): %q, want %q", name, target, i.target)
		}
	}
}

// verifyAll compares all names with the model.
func (c *checker) verifyAll() {
	for _, name := range c.sorted() {
		c.verify(name)
	}
	entries, err := os.ReadDir(".")
	if !c.call(nil, err, "reading the directory") {
		return
	}
	for _, entry := range entries {
		if _, known := c.names[entry.Name()]; !known && filepath.Ext(entry.Name()) == "" && entry.Name()[0] == 'f' {
			c.wrong("%s exists, which no call has made", entry.Name())
		}
	}
}

// removeAll removes everything.
func (c *checker) removeAll() {
	for _, name := range c.sorted() {
		c.unlink(name, c.names[name])
	}
	for _, name := range []string{"secret", taskFile} {
		c.call(nil, unix.Unlink(name), "unlink(%s)", name)
	}
}
