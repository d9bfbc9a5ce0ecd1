package test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestWorkerKilled repeatedly kills the worker while tar unpacks an archive. tar must
// not notice.
func TestWorkerKilled(t *testing.T) {
	dir := t.TempDir()
	want := unpackWithKills(t, 10, "tar", "-C", dir, "-xpf", "-")
	want.compare(t, ownersBelow(t, dir))
}

// TestHungFileSystem has more killed tasks wait for a file system that does not answer than the
// worker has threads. Others go on.
func TestHungFileSystem(t *testing.T) {
	needs(t, "cc", "fuse")
	cmd := command(t, "subuidless", "exec", "--", filepath.Join(programsDir(work()), "hung"), "3", "100")
	cmd.Dir = t.TempDir()
	out, err := cmd.Output()
	const want = "  plain: 100644 1:9\nkilled: 100\n  plain: 100644 2:9\nkilled: 100\n  plain: 100644 3:9\nkilled: 100\numount2(\"hung\", MNT_DETACH) = 0\n"
	if string(out) != want || err != nil {
		t.Errorf("%v, output %s, want %s", err, out, want)
	}
}

// TestStuckWorkerKilled kills a worker with a thread that cannot exit, because it waits for a file
// system. Another one starts nevertheless.
func TestStuckWorkerKilled(t *testing.T) {
	needs(t, "cc", "fuse")
	t.Parallel() // it waits for seconds
	cmd := command(t, "subuidless", "exec", "--", filepath.Join(programsDir(work()), "hung"), "0", "0", "reads")
	cmd.Dir = t.TempDir()
	c := startSupervised(t, "exec", cmd)
	if line, err := c.out.ReadString('\n'); line != "waiting\n" {
		t.Fatalf("%q, %v\n%s", line, err, c.stderr.String())
	}
	c.kill("subuidless-worker", 0)
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		t.Error(err)
	}
	if line, err := c.out.ReadString('\n'); line != "  plain: 100644 1:2\n" {
		t.Errorf("%q, %v\n%s", line, err, c.stderr.String())
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(c.stderr.String(), "waiting for a file system") {
		t.Errorf("%v\n%s", err, c.stderr.String())
	}
}

// unpackWithKills feeds a large archive to a command under subuidless exec and kills
// the worker the given number of times meanwhile. It returns the owners in the archive.
func unpackWithKills(t *testing.T, kills int, argv ...string) owners {
	t.Helper()
	const files = 10_000
	cmd := command(t, append([]string{"subuidless", "exec", "--"}, argv...)...)
	// The archive comes through a pipe, so tar is still working when a worker is killed.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var messages strings.Builder
	cmd.Stdout, cmd.Stderr = &messages, &messages
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	victim := 0
	all, err := writeArchive(stdin, files, func(i int) {
		if i%(files/kills) == files/kills/2 {
			victim = nextWorker(t, cmd.Process.Pid, victim)
			if err := unix.Kill(victim, unix.SIGKILL); err != nil {
				t.Errorf("killing worker %d: %v", victim, err)
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
	if err := stdin.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("tar: %v\n%s", err, messages.String())
	}
	if said := strings.Count(messages.String(), "the worker died"); said != kills {
		t.Errorf("%d messages about dead workers, want %d:\n%s", said, kills, messages.String())
	}
	return all
}

// ownersBelow returns the owners of all files below dir, as they appear in a container.
func ownersBelow(t *testing.T, dir string) owners {
	t.Helper()
	all := owners{}
	for line := range strings.Lines(subuidless(t, "exec", "--", "find", dir, "-mindepth", "1", "-printf", "%P %U:%G\n")) {
		name, owner, _ := strings.Cut(strings.TrimSpace(line), " ")
		all[name] = owner
	}
	return all
}

// TestWorkerKilledAmongIdentities repeatedly kills the worker while programs become
// other users.
func TestWorkerKilledAmongIdentities(t *testing.T) {
	needs(t, "cc")
	cmd := command(t, "subuidless", "exec", "--", "changeids", "3")
	cmd.Dir = t.TempDir()
	if err := os.Chmod(cmd.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	output := startUntil(t, cmd, "program")
	_, err := killWorkers(t, cmd, 2*time.Second, 0, 10*time.Millisecond)
	said := deaths.ReplaceAllString(output.String(), "")
	if err != nil || said != "" {
		t.Errorf("%v\n%s", err, said)
	}
}

// startUntil starts the command, waits until it has created the file, a path that starts from its
// directory, and returns its output.
func startUntil(t *testing.T, cmd *exec.Cmd, file string) *strings.Builder {
	t.Helper()
	output := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(cmd.Dir, file)
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(file); err == nil {
			return output
		}
		if time.Now().After(end) {
			t.Fatalf("%s has not created %s", cmd.Args, file)
		}
	}
}

// TestWorkerKilledAmongNamespaces repeatedly kills the worker while programs create user
// namespaces and map ids in them.
func TestWorkerKilledAmongNamespaces(t *testing.T) {
	const script = `
i=0
while [ $i -lt 40 ]; do
	seen=$(setpriv --reuid 33 --regid 33 --clear-groups unshare -r sh -c "id -u; id -g; unshare --map-user=5 id -u; cat /proc/self/uid_map")
	seen=$(echo $seen)
	[ "$seen" = "0 0 5 0 33 1" ] || echo "round $i: $seen"
	[ -e started ] || : >started
	i=$((i + 1))
done`
	cmd := command(t, "subuidless", "exec", "--", "sh", "-c", script)
	cmd.Dir = t.TempDir()
	if err := os.Chmod(cmd.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	output := startUntil(t, cmd, "started")
	_, err := killWorkers(t, cmd, patience, 0, 20*time.Millisecond)
	if said := deaths.ReplaceAllString(output.String(), ""); err != nil || said != "" {
		t.Errorf("%v\n%s", err, said)
	}
}

// killWorkers repeatedly kills the worker of a command that has been started, after a
// pause between least and most from when it appears, for the given time or until the
// command ends. Then it waits for the command, and returns how many it has killed and the command's
// error.
func killWorkers(t *testing.T, cmd *exec.Cmd, duration, least, most time.Duration) (kills int, err error) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		err = cmd.Wait()
		close(ended)
	}()
	victim := 0
	for end := time.Now().Add(duration); time.Now().Before(end); kills++ {
		worker, found := awaitWorker(cmd.Process.Pid, victim, ended)
		if !found {
			break
		}
		victim = worker
		time.Sleep(least + rand.N(most-least))
		if err := unix.Kill(victim, unix.SIGKILL); err != nil {
			select {
			case <-ended: // and its worker with it
			case <-time.After(patience):
				t.Errorf("killing worker %d: %v", victim, err)
			}
			break
		}
	}
	if kills == 0 {
		t.Error("no worker was killed")
	}
	t.Logf("%d workers killed", kills)
	<-ended
	return kills, err
}

// deaths matches the messages about killed workers. There is a different one for a
// worker that is killed before it is ready.
var deaths = regexp.MustCompile(`(?m)^.*(the worker died|the new worker does not work).*\n`)

// nextWorker waits for a worker, other than the previous one, of the container that
// the process front started.
func nextWorker(t *testing.T, front, previous int) int {
	t.Helper()
	pid, found := awaitWorker(front, previous, nil)
	if !found {
		t.Fatalf("no worker other than %d", previous)
	}
	return pid
}

// awaitWorker does the same until ended is closed. It reports whether it has found one.
func awaitWorker(front, previous int, ended <-chan struct{}) (pid int, found bool) {
	for late := time.After(patience); ; {
		for _, pid := range workers(front) {
			if pid != previous {
				return pid, true
			}
		}
		select {
		case <-late:
			return 0, false
		case <-ended:
			return 0, false
		case <-time.After(time.Millisecond):
		}
	}
}

// children lists the children of all threads of a process.
func children(pid int) []string {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		panic(err) // a malformed pattern
	}
	var all []string
	for _, list := range lists {
		of, _ := os.ReadFile(list) // the thread may have ended
		all = append(all, strings.Fields(string(of))...)
	}
	return all
}

// workers lists the workers in the user namespaces of the children of front.
func workers(front int) []int {
	namespaces := map[string]bool{}
	for _, child := range children(front) {
		if ns, err := os.Readlink("/proc/" + child + "/ns/user"); err == nil {
			namespaces[ns] = true
		}
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		panic(err) // a malformed pattern
	}
	var found []int
	for _, dir := range processes {
		name, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || !strings.HasPrefix(string(name), "subuidless-worker\x00") {
			continue
		}
		ns, err := os.Readlink(filepath.Join(dir, "ns", "user"))
		if err != nil || !namespaces[ns] {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			found = append(found, pid)
		}
	}
	return found
}

// receiveScript prints the ids of the sender of a message, which another user sends when the
// script may read a line.
const receiveScript = `
import os, socket, struct, sys
sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
ready, started = os.pipe()
if os.fork() == 0:
    os.setresgid(8, 8, 8)
    os.setresuid(7, 7, 7)
    os.write(started, b"x")
    os.read(0, 1)
    sender.send(b"x")
    os._exit(0)
os.read(ready, 1)
print("waits", flush=True)
control = receiver.recvmsg(1, 100)[1]
print(*struct.unpack("3i", control[0][2])[1:])
os.wait()
`

// TestWorkerKilledWhileCallWaits kills workers while a program waits for a message.
func TestWorkerKilledWhileCallWaits(t *testing.T) {
	needs(t, "python3")
	cmd := command(t, "subuidless", "exec", "--", "python3", "-c", receiveScript)
	var messages strings.Builder
	cmd.Stderr = &messages
	stdin, output := startWithPipes(t, cmd)
	if line, err := output.ReadString('\n'); line != "waits\n" {
		t.Fatalf("the script printed %q (%v)\n%s", line, err, messages.String())
	}
	victim := 0
	for range 3 {
		victim = nextWorker(t, cmd.Process.Pid, victim)
		if err := unix.Kill(victim, unix.SIGKILL); err != nil {
			t.Fatalf("killing worker %d: %v", victim, err)
		}
	}
	if _, err := stdin.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if line, err := output.ReadString('\n'); line != "7 8\n" {
		t.Errorf("the message comes from %q (%v), want 7 8", line, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, messages.String())
	}
}
