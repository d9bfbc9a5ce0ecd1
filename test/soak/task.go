package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// taskName is argv[0] of the tasks that may be killed.
const taskName = "soak-task"

// taskFile is the file whose owner such a task changes.
const taskFile = "task"

// pairOffset is between the ids to which a task sets the owner and the group of its file.
const pairOffset = 100000

// killable is a process whose death at any moment leaves a consistent state. The checker starts
// another one.
type killable struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed at its end
	err   error         // of its end
}

func startKillable() (*killable, error) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{taskName}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	k := &killable{cmd: cmd, ended: make(chan struct{})}
	go func() {
		k.err = cmd.Wait()
		close(k.ended)
	}()
	return k, nil
}

// taskMain sets the owner of the file to pairs of ids, creates and removes files, for ever.
func taskMain() error {
	fd, err := unix.Open(taskFile, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		uid := n % 60000
		if err := unix.Fchown(fd, uid, uid+pairOffset); err != nil {
			return fmt.Errorf("fchown: %w", err)
		}
		if err := unix.Chown(taskFile, uid+1, uid+1+pairOffset); err != nil {
			return fmt.Errorf("chown: %w", err)
		}
	}
}

// watchTask checks what a task that was killed has left, and starts another one.
//
// The kernel sets the owner and the group one after the other, and stat reads them without a lock:
// while the task runs, one of them may be new and the other one old. What is no pair then is
// checked again when the task has ended.
func (c *checker) watchTask() {
	select {
	case <-c.task.ended:
		c.task.mustBeKilled(c)
	default:
		if s := c.taskOwner(); isPair(s) {
			return
		}
		c.task.end(c)
	}
	if s := c.taskOwner(); !isPair(s) {
		c.done.Lost++
		c.say("%s: owner %d:%d is no pair", taskFile, s.uid, s.gid)
	}
	task, err := startKillable()
	if err != nil {
		c.wrong("starting a task: %v", err)
		return
	}
	c.task = task
}

// taskOwner returns the status of the task's file.
func (c *checker) taskOwner() status {
	s, err := lstat(taskFile, c.rand.IntN(ways))
	c.call(nil, err, "status of %s", taskFile)
	return s
}

// isPair reports whether a task has set this owner, or none has.
func isPair(s status) bool { return s.uid == 0 && s.gid == 0 || s.gid == s.uid+pairOffset }

// end kills the task, and waits for its end.
func (k *killable) end(c *checker) {
	if err := k.cmd.Process.Kill(); err != nil && err != os.ErrProcessDone {
		c.wrong("kill of a task: %v", err)
	}
	<-k.ended
	k.mustBeKilled(c)
}

// mustBeKilled checks that the task, which has ended, has not ended by itself.
func (k *killable) mustBeKilled(c *checker) {
	if status, ok := k.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
		c.wrong("a task has ended: %v", k.err)
	}
}
