package test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestKilledWhileStarting kills the first worker or keeper of containers at many moments of their
// start. The containers start nevertheless, and their programs have the right identity.
func TestKilledWhileStarting(t *testing.T) {
	needs(t, "busybox")
	t.Parallel() // it takes seconds
	root := t.TempDir()
	if err := makeRootfs(root); err != nil {
		t.Fatal(err)
	}
	const script, want = "chown 1:2 f && stat -c %u:%g f && id -u", "1:2\n0\n"
	kinds := []startedContainer{
		{"exec", []string{"subuidless", "exec", "--", "sh", "-c", ": >f && " + script}, want},
		{"run", []string{"subuidless", "run", "-u", "33", root, "--", "busybox", "id", "-u"}, "33\n"},
	}
	if crun() {
		run, err := os.MkdirTemp(work("run"), "") // the path of a socket must be short
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(run) })
		dir := openDirectory(t)
		if err := makeRootfs(filepath.Join(dir, "rootfs")); err != nil {
			t.Fatal(err)
		}
		writeSpec(t, dir, startAgent(t, run), []string{"sh", "-c", ": >f && " + script})
		kinds = append(kinds, startedContainer{"crun", []string{"crun", "--cgroup-manager=disabled", "run", "-b", dir}, want})
	}
	for _, kind := range kinds {
		for _, victim := range []string{"subuidless-worker", "subuidless-keeper"} {
			t.Run(kind.name+", "+victim, func(t *testing.T) {
				killed := 0
				for i := range 5 {
					if kind.startAndKill(t, victim, time.Duration(i)*2*time.Millisecond) {
						killed++
					}
				}
				if killed == 0 {
					t.Error("nothing was killed")
				}
			})
		}
	}
}

// startedContainer is a command that starts a container, and what it prints.
type startedContainer struct {
	name string
	argv []string
	want string
}

// startAndKill starts the container, and kills the first process of its supervisor with that name,
// after a pause from when it appears. It reports whether that was in time.
func (c startedContainer) startAndKill(t *testing.T, victim string, pause time.Duration) (killed bool) {
	t.Helper()
	argv, id := c.argv, ""
	if c.name == "crun" {
		id = fmt.Sprintf("start-%d-%d", os.Getpid(), time.Now().UnixNano())
		argv = append(argv[:len(argv):len(argv)], id)
	}
	cmd := command(t, argv...)
	cmd.Dir = t.TempDir()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if id == "" {
		id = fmt.Sprintf("%s-%d", c.name, cmd.Process.Pid)
	}
	var err error
	ended := make(chan struct{})
	go func() {
		err = cmd.Wait()
		close(ended)
	}()
	killed = killProcess(t, victim, id, pause, ended)
	select {
	case <-ended:
		if stdout.String() != c.want || err != nil {
			t.Errorf("killed after %v: %v, output %q, want %q\n%s", pause, err, stdout.String(), c.want, stderr.String())
		}
	case <-time.After(patience):
		t.Errorf("killed after %v: the container does not start", pause)
		_ = cmd.Process.Kill()
		<-ended
	}
	return killed
}

// killProcess kills the first process of the container's supervisor with that name, after a pause from
// when it appears. It reports whether it has, before ended was closed.
func killProcess(t *testing.T, name, id string, pause time.Duration, ended <-chan struct{}) bool {
	t.Helper()
	for {
		for _, pid := range supervisors(t, name, id) {
			fd, err := unix.PidfdOpen(pid, 0)
			if err != nil || !slices.Contains(supervisors(t, name, id), pid) { // another process may have its pid
				continue
			}
			defer unix.Close(fd)
			time.Sleep(pause)
			return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil
		}
		select {
		case <-ended:
			return false
		default:
		}
	}
}
