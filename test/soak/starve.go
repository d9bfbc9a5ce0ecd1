package main

import (
	"errors"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// shortages are the errors that calls may give while something is used up or read-only.
var shortages = []error{unix.ENOSPC, unix.EDQUOT, unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EROFS, unix.EIO}

func isShortage(err error) bool {
	return slices.ContainsFunc(shortages, func(e error) bool { return errors.Is(err, e) })
}

// starver is a job on a small disk, which it fills from time to time. Calls may fail for that, but
// then they have no effect.
type starver struct{ checker }

const smallDisk = "disk"

// starveMain starves until standard input ends.
func starveMain(j job) error {
	unix.Umask(0)
	s := &starver{checker: checker{reporter: newReporter(j.name), rand: j.rand(), names: map[string]*inode{}}}
	if err := os.Mkdir(smallDisk, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("none", smallDisk, "tmpfs", 0, "size=64k,nr_inodes=60,mode=755"); err != nil {
		return os.NewSyscallError("mount", err)
	}
	if err := os.Chdir(smallDisk); err != nil {
		return err
	}
	err := s.untilStopped(s.step)
	_ = os.Remove("fill") // it may not exist
	for _, name := range s.sorted() {
		s.check(name)
	}
	s.call(nil, os.Chdir(".."), "chdir")
	s.call(nil, unix.Unmount(smallDisk, unix.MNT_DETACH), "umount")
	s.call(nil, unix.Rmdir(smallDisk), "rmdir")
	return errors.Join(err, s.finish())
}

func (s *starver) step() {
	switch s.rand.IntN(12) {
	case 0:
		s.fill()
	case 1, 2:
		s.create()
	case 3:
		if name, _ := s.some(); name != "" && s.try(unix.Unlink(name), "unlink(%s)", name) {
			delete(s.names, name)
		}
	default:
		s.chown()
	}
}

// try counts a call, and reports whether it has succeeded. It may fail for lack of something.
func (s *starver) try(err error, what string, args ...any) bool {
	if err != nil && isShortage(err) {
		s.done.Calls++
		return false
	}
	return s.call(nil, err, what, args...)
}

// fill uses up the disk, or frees it.
func (s *starver) fill() {
	if err := os.Remove("fill"); err == nil {
		return
	}
	fd, err := unix.Open("fill", unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if !s.try(err, "creating fill") {
		return
	}
	defer unix.Close(fd)
	for err == nil {
		_, err = unix.Write(fd, make([]byte, 4096))
	}
	s.try(err, "filling the disk")
}

func (s *starver) create() {
	name, i := s.newName(), &inode{links: 1}
	var err error
	if s.rand.IntN(3) == 0 {
		i.mode, i.size, i.target = unix.S_IFLNK|0o777, 1, "x"
		err = unix.Symlink("x", name)
	} else {
		i.mode = unix.S_IFREG | 0o644
		var fd int
		if fd, err = unix.Open(name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o644); err == nil {
			unix.Close(fd)
		}
	}
	if s.try(err, "creating %s", name) {
		s.names[name] = i
		s.check(name)
	}
}

func (s *starver) chown() {
	name, i := s.some()
	if i == nil {
		return
	}
	uid, gid := s.id(), s.id()
	if s.try(unix.Lchown(name, int(uid), int(gid)), "lchown(%s, %d, %d)", name, uid, gid) {
		i.uid, i.gid = uid, gid
	}
	s.check(name)
}

// check compares the status of a name with the model, as soon as it can be read.
func (s *starver) check(name string) {
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		got, err := lstat(name, s.rand.IntN(ways))
		if isShortage(err) && time.Now().Before(end) {
			continue
		}
		if i := s.names[name]; s.call(nil, err, "status of %s", name) && (got.uid != i.uid || got.gid != i.gid || got.mode != i.mode) {
			s.done.Lost++
			s.say("%s: mode %o, owner %d:%d; want %o, %d:%d", name, got.mode, got.uid, got.gid, i.mode, i.uid, i.gid)
			i.uid, i.gid, i.mode = got.uid, got.gid, got.mode
		}
		return
	}
}
