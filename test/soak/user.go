package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// user starts a process of another user in a directory of its own, which checks what a user gets.
func (c *checker) user() {
	dir := fmt.Sprintf("user%d", c.next)
	c.next++
	uid, gid, group := 1+c.rand.Uint32N(60000), 1+c.rand.Uint32N(60000), 60001+c.rand.Uint32N(5000)
	if !c.call(nil, unix.Mkdir(dir, 0o700), "mkdir(%s)", dir) || !c.call(nil, unix.Chown(dir, int(uid), int(gid)), "chown(%s, %d, %d)", dir, uid, gid) {
		return
	}
	cmd := exec.Command("/proc/self/exe", "user", strconv.Itoa(int(uid)), strconv.Itoa(int(gid)), strconv.Itoa(int(group)))
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid, Groups: []uint32{group}}, Pdeathsig: unix.SIGKILL}
	out, err := cmd.Output()
	var done progress
	if e := json.Unmarshal(out, &done); err != nil || e != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			out = append(out, failed.Stderr...)
		}
		c.wrong("the process of user %d:%d: %v\n%s", uid, gid, errors.Join(err, e), out)
		return
	}
	c.done.Calls += done.Calls
	c.done.Wrong += done.Wrong
	c.done.Lost += done.Lost
	c.done.Says += done.Says
	c.call(nil, unix.Rmdir(dir), "rmdir(%s)", dir)
}

// userMain checks what a user gets who owns the working directory, and is in one more group. The
// file ../secret belongs to root.
func userMain(uid, gid, group int) error {
	c := &checker{reporter: newReporter("user")}
	unix.Umask(0)
	if u, e, s := unix.Getresuid(); u != uid || e != uid || s != uid {
		c.wrong("getresuid: %d, %d, %d, want %d", u, e, s, uid)
	}
	if g, e, s := unix.Getresgid(); g != gid || e != gid || s != gid {
		c.wrong("getresgid: %d, %d, %d, want %d", g, e, s, gid)
	}
	if groups, err := unix.Getgroups(); !slices.Equal(groups, []int{group}) {
		c.wrong("getgroups: %v, %v, want %d", groups, err, group)
	}
	c.done.Calls += 3

	// What it creates is its own, and goes to no one else.
	belongs := func(name string, gid int) {
		s, err := lstat(name, c.done.Calls%ways)
		if c.call(nil, err, "status of %s", name) && (int(s.uid) != uid || int(s.gid) != gid) {
			c.done.Lost++
			c.say("%s of user %d belongs to %d:%d, want group %d", name, uid, s.uid, s.gid, gid)
		}
	}
	fd, err := unix.Open("file", unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, 0o640)
	if c.call(nil, err, "creating a file") {
		unix.Close(fd)
	}
	for name, err := range map[string]error{
		"dir": unix.Mkdir("dir", 0o755), "link": unix.Symlink("file", "link"), "fifo": unix.Mkfifo("fifo", 0o600),
	} {
		c.call(nil, err, "creating %s", name)
		belongs(name, gid)
	}
	belongs("file", gid)
	c.call(unix.EPERM, unix.Chown("file", uid+1, -1), "giving a file away")
	c.call(unix.EPERM, unix.Chown("file", -1, group+1), "chown to a group of others")
	c.call(nil, unix.Chown("file", -1, group), "chown to one's group")
	belongs("file", group)
	c.call(nil, unix.Chmod("file", 0o400), "chmod of one's file")
	_, err = unix.Open("file", unix.O_WRONLY, 0)
	c.call(unix.EACCES, err, "opening one's own file without write permission")

	// What belongs to root is out of its reach.
	secret := filepath.Join("..", "secret")
	_, err = unix.Open(secret, unix.O_RDONLY, 0)
	c.call(unix.EACCES, err, "opening root's file")
	c.call(unix.EPERM, unix.Chmod(secret, 0o666), "chmod of root's file")
	c.call(unix.EPERM, unix.Chown(secret, uid, gid), "chown of root's file")
	c.call(unix.EACCES, unix.Unlink(secret), "removing root's file")
	c.call(unix.EACCES, unix.Mkdir(filepath.Join("..", "new"), 0o755), "mkdir in root's directory")
	c.call(unix.EPERM, unix.Mknod("null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))), "mknod of a device")
	c.call(unix.EPERM, unix.Setuid(0), "setuid(0)")
	c.call(unix.EPERM, unix.Setgroups(nil), "setgroups")
	c.call(unix.EPERM, unix.Kill(os.Getppid(), unix.SIGTERM), "kill of root's process")

	for _, name := range []string{"file", "link", "fifo"} {
		c.call(nil, unix.Unlink(name), "unlink(%s)", name)
	}
	c.call(nil, unix.Rmdir("dir"), "rmdir")
	c.done.Done = true
	return c.report()
}
