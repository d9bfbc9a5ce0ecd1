package test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestKeeperKilled repeatedly kills the keeper, also before it has taken over from the previous
// one. Afterwards there is one that restarts the worker.
func TestKeeperKilled(t *testing.T) {
	c := startChowner(t)
	keeper := 0
	for i := range 60 {
		keeper = c.kill("subuidless-keeper", keeper)
		time.Sleep(rand.N(80*time.Millisecond) * time.Duration(i%2)) // any moment of its start
	}
	c.await("subuidless-keeper", keeper)
	c.chown("3:4")
	worker := c.kill("subuidless-worker", 0)
	c.chown("5:6")
	c.await("subuidless-worker", worker)
	c.end()
}

// TestKeeperAndWorkerKilled repeatedly kills keeper and worker in the same instant. The process
// that started them starts others.
func TestKeeperAndWorkerKilled(t *testing.T) {
	c := startChowner(t)
	keeper, worker := 0, 0
	for i := range 30 {
		keeper, worker = c.await("subuidless-keeper", keeper), c.await("subuidless-worker", worker)
		time.Sleep(rand.N(40*time.Millisecond) * time.Duration(i%2)) // any moment of their start
		// The second one may have died of the first one's death: there was no listener yet.
		for _, pid := range []int{keeper, worker} {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && err != unix.ESRCH {
				t.Errorf("killing process %d: %v", pid, err)
			}
		}
		c.chown(fmt.Sprintf("%d:%d", i+1, i+2))
	}
	c.end()
}

// TestWholeSupervisorKilled kills front, keeper and worker in the same instant. The standby takes over,
// and has a standby of its own.
func TestWholeSupervisorKilled(t *testing.T) {
	c := startChowner(t)
	keeper, worker, witness := 0, 0, c.front
	for i := range 3 {
		keeper, worker = c.await("subuidless-keeper", keeper), c.await("subuidless-worker", worker)
		standby := c.awaitStandby(witness)
		killTogether(t, witness, keeper, worker)
		c.chown(fmt.Sprintf("%d:%d", i+1, i+2))
		witness = standby
	}
	c.endAfterFront()
}

// TestRunEndsWithSupervisor kills everything that could start another supervisor of a container of run.
// Its init, which the filter does not concern, ends it, instead of leaving it with calls that fail; if
// the init is killed, too, the kernel does.
func TestRunEndsWithSupervisor(t *testing.T) {
	needs(t, "busybox")
	for name, killInit := range map[string]bool{"init lives": false, "init is killed": true} {
		t.Run(name, func(t *testing.T) { testRunEnds(t, killInit) })
	}
}

func testRunEnds(t *testing.T, killInit bool) {
	root := t.TempDir()
	if err := makeRootfs(root); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, "subuidless", "run", root, "--", "sh", "-c", "echo ready; while :; do chown 1:2 /tmp; done")
	c := startSupervised(t, "run", cmd)
	if line, err := c.out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("%q, %v\n%s", line, err, c.stderr.String())
	}
	victims := []int{c.front, c.await("subuidless-keeper", 0), c.await("subuidless-worker", 0)}
	for _, child := range children(c.front) {
		cmdline, _ := os.ReadFile("/proc/" + child + "/cmdline")
		if pid, err := strconv.Atoi(child); killInit && err == nil && string(cmdline) == "subuidless-init\x00" {
			victims = append(victims, pid)
		}
	}
	if killInit != (len(victims) == 4) {
		t.Fatalf("the victims are %v", victims)
	}
	killTogether(t, victims...)
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, c.out) // until no process of the container is left
		_ = cmd.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the container does not end")
	}
}

// TestEverythingKilled kills front, keeper, worker and standby in the same instant. Nobody is left who
// could answer calls: the undertaker ends the container, which says why, and no call gives ENOSYS.
func TestEverythingKilled(t *testing.T) {
	c := startChowner(t)
	c.awaitStandby(0)
	c.killEverything()
}

// TestEverythingKilledAtOnce is TestEverythingKilled for a container that has just started, and has no
// standby yet.
func TestEverythingKilledAtOnce(t *testing.T) {
	for range 10 {
		c := startChowner(t)
		c.await("undertaker", 0)
		if len(c.processes("subuidless-standby")) == 0 {
			c.killEverything()
			return
		}
		c.end() // it has taken too long
	}
	t.Error("all containers had a standby before their undertaker")
}

// TestEverythingKilledAfterReplacement is TestEverythingKilled for containers whose keeper or worker has
// been replaced, or whose undertaker has been killed before that.
func TestEverythingKilledAfterReplacement(t *testing.T) {
	for _, victim := range []string{"subuidless-keeper", "subuidless-worker", "undertaker"} {
		c := startChowner(t)
		undertaker := c.await("undertaker", 0)
		first := c.kill(victim, 0)
		if victim == "undertaker" { // the next keeper starts another one
			keeper := c.kill("subuidless-keeper", 0)
			c.await("subuidless-keeper", keeper)
			undertaker = c.await("undertaker", first)
		} else {
			c.await(victim, first)
		}
		c.chown("5:6")
		if all := c.processes("undertaker"); len(all) != 1 || all[0] != undertaker {
			t.Errorf("%s killed: the undertakers are %v, want %d", victim, all, undertaker)
		}
		c.killEverything()
	}
}

// killEverything kills the whole supervisor, and checks that the undertaker ends the container.
func (c *chowner) killEverything() {
	c.t.Helper()
	c.await("undertaker", 0)
	killSupervisor(c.t, c.id, c.front)
	_, _ = io.WriteString(c.in, "3:4\n") // EPIPE: it has ended
	rest, err := io.ReadAll(c.out)
	_ = c.wait()
	if said := c.stderr.String(); len(rest) > 0 || err != nil || !strings.Contains(said, "it ends, because nobody can answer") || strings.Contains(said, "not implemented") {
		c.t.Errorf("%q, %v\n%s", rest, err, said)
	}
	c.awaitEnd()
}

// TestStandbyKilled kills the standby: another one starts, and takes over.
func TestStandbyKilled(t *testing.T) {
	c := startChowner(t)
	standby := c.awaitStandby(0)
	killTogether(t, standby)
	keeper := c.kill("subuidless-keeper", 0) // and this one is not its parent
	standby = c.awaitStandby(standby)
	keeper = c.await("subuidless-keeper", keeper)
	killTogether(t, standby)
	c.awaitStandby(standby)
	killTogether(t, c.front, keeper, c.await("subuidless-worker", 0))
	c.chown("3:4")
	c.endAfterFront()
}

// TestStopped stops worker and keeper, the first ones and those that have replaced others. They are
// continued.
func TestStopped(t *testing.T) {
	c := startChowner(t)
	stop := func(name string) {
		t.Helper()
		if err := unix.Kill(c.await(name, 0), unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		stop("subuidless-worker")
		c.chown(fmt.Sprintf("%d:1", i+1))
		// A stopped keeper starts no worker.
		stop("subuidless-keeper")
		worker := c.kill("subuidless-worker", 0)
		c.await("subuidless-worker", worker)
		c.chown(fmt.Sprintf("%d:2", i+1))
		keeper := c.kill("subuidless-keeper", 0) // now the worker is not the keeper's child
		c.await("subuidless-keeper", keeper)
		if i == 0 {
			stop("subuidless-worker") // it has not handed everything to the new keeper
		}
		c.chown(fmt.Sprintf("%d:3", i+1))
	}
	c.end()
}

// TestStoppedOrphan stops a keeper and its parent, a worker, which is killed before it can continue it;
// and the same with a worker and its keeper.
func TestStoppedOrphan(t *testing.T) {
	// Otherwise, the keeper's process group would be an orphan, and get SIGHUP and SIGCONT if the keeper
	// was stopped already when its parent ended: setpgid(2).
	reap := adoptOrphans(t)
	c := startChowner(t)
	keeper := c.await("subuidless-keeper", c.kill("subuidless-keeper", 0))
	eventually(t, "the keeper has taken over", func() bool { return hasOpen(keeper, "anon_inode:seccomp notify") })
	worker := c.await("subuidless-worker", 0)
	stopTogether(t, worker, keeper)
	signalAll(t, unix.SIGKILL, worker)
	next := c.await("subuidless-worker", worker)
	c.chown("3:4") // by the next worker, whose parent the keeper is
	stopTogether(t, keeper, next)
	signalAll(t, unix.SIGKILL, keeper)
	c.await("subuidless-keeper", keeper)
	c.chown("5:6")
	c.end()
	for _, pid := range []int{worker, keeper, next} {
		reap(pid)
	}
}

// adoptOrphans makes this process the parent of its descendants whose parents end, until the end of the
// test, which must reap them.
func adoptOrphans(t *testing.T) (reap func(pid int)) {
	t.Helper()
	set := func(on uintptr) {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, on, 0, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	set(1)
	t.Cleanup(func() { set(0) })
	return func(pid int) {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != nil {
			t.Error(err)
		}
	}
}

// TestStoppedForGood stops a keeper that nobody continues: top ends, and names it.
func TestStoppedForGood(t *testing.T) {
	c := startChowner(t)
	keeper, worker := c.await("subuidless-keeper", 0), c.await("subuidless-worker", 0)
	signalAll(t, unix.SIGKILL, c.front)
	eventually(t, "the keeper has another parent", func() bool { return statusField(keeper, "PPid") != strconv.Itoa(c.front) })
	stopTogether(t, keeper, worker)
	out, err := command(t, "subuidless", "top", "-d", "10ms").CombinedOutput()
	want := fmt.Sprintf("\nsubuidless: the supervisor of %s does not answer: a signal has stopped process %d (kill -CONT %[2]d continues it)\n", c.id, keeper)
	if !strings.Contains(string(out), want) || err != nil {
		t.Errorf("%s%v", out, err)
	}
	signalAll(t, unix.SIGCONT, keeper)
	c.chown("3:4") // the keeper has continued the worker
	c.endAfterFront()
}

// chowner is a command under supervision that changes owners when it is asked to.
type chowner struct {
	t      *testing.T
	id     string // of its container
	front  int    // process id of the front
	in     io.WriteCloser
	out    *bufio.Reader
	stderr strings.Builder
	wait   func() error
}

// startChowner starts a chowner that inherits files.
func startChowner(t *testing.T, files ...*os.File) *chowner {
	t.Helper()
	cmd := command(t, "subuidless", "exec", "--", "sh", "-c", "while read owner; do chown $owner f && stat -c %u:%g f; done")
	cmd.Dir = t.TempDir()
	cmd.ExtraFiles = files
	if err := os.WriteFile(filepath.Join(cmd.Dir, "f"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	c := startSupervised(t, "exec", cmd)
	c.chown("1:2")
	return c
}

// startSupervised starts cmd, a command of subuidless: exec or run, as kind says.
func startSupervised(t *testing.T, kind string, cmd *exec.Cmd) *chowner {
	t.Helper()
	c := &chowner{t: t, wait: cmd.Wait}
	cmd.Stderr = &c.stderr
	c.in, c.out = startWithPipes(t, cmd)
	c.front = cmd.Process.Pid
	c.id = fmt.Sprintf("%s-%d", kind, c.front)
	return c
}

// awaitStandby waits for a standby other than the previous one, which can take over. One that has been
// started by a keeper that was killed meanwhile ends before that.
func (c *chowner) awaitStandby(previous int) int {
	c.t.Helper()
	for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		for _, pid := range c.processes("subuidless-standby") {
			if pid != previous && hasOpen(pid, "anon_inode:seccomp notify") { // the last thing that it receives
				return pid
			}
		}
		if time.Now().After(late) {
			c.t.Fatalf("no standby %s other than process %d receives the listener\n%s", c.id, previous, c.stderr.String())
		}
	}
}

// chown changes the owner, and compares what stat(1) then prints.
func (c *chowner) chown(owner string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, owner+"\n"); err != nil {
		c.t.Fatal(err)
	}
	if got, err := c.out.ReadString('\n'); got != owner+"\n" || err != nil {
		c.t.Fatalf("owner %q, want %q: %v\n%s", got, owner, err, c.stderr.String())
	}
}

// kill kills the process of that name, other than the previous one, and returns its pid.
func (c *chowner) kill(name string, previous int) int {
	c.t.Helper()
	pid := c.await(name, previous)
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		c.t.Errorf("killing %s %d: %v", name, pid, err)
	}
	return pid
}

// await waits for a process of that name, other than the previous one.
func (c *chowner) await(name string, previous int) int {
	c.t.Helper()
	for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		for _, pid := range c.processes(name) {
			if pid != previous {
				return pid
			}
		}
		if time.Now().After(late) {
			c.t.Fatalf("no %s %s other than process %d\n%s", name, c.id, previous, c.stderr.String())
		}
	}
}

// processes lists the processes of that name.
func (c *chowner) processes(name string) []int {
	c.t.Helper()
	return supervisors(c.t, name, c.id)
}

// end ends the command, and waits for the end of its keeper.
func (c *chowner) end() {
	c.t.Helper()
	if err := c.in.Close(); err != nil {
		c.t.Error(err)
	}
	if err := c.wait(); err != nil {
		c.t.Fatalf("%v\n%s", err, c.stderr.String())
	}
	c.awaitEnd()
}

// endAfterFront is end for a command whose front has been killed.
func (c *chowner) endAfterFront() {
	c.t.Helper()
	if err := c.in.Close(); err != nil {
		c.t.Error(err)
	}
	if _, err := c.out.ReadByte(); err != io.EOF { // the command has ended
		c.t.Error(err)
	}
	_ = c.wait()
	c.awaitEnd()
}

// awaitEnd waits for the end of the supervisor.
func (c *chowner) awaitEnd() {
	c.t.Helper()
	for _, name := range []string{"subuidless-keeper", "subuidless-worker", "subuidless-standby", "undertaker"} {
		for late := time.Now().Add(patience); len(c.processes(name)) > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(late) {
				c.t.Fatalf("%s outlives its container", name)
			}
		}
	}
}
