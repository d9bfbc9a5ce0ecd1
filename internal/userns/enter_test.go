package userns

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// show is the environment variable that makes the test binary print its arguments, ids,
// capabilities and open descriptors.
const show = "USERNS_TEST_SHOW"

func TestMain(m *testing.M) {
	if os.Getenv(show) != "" {
		showSelf()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func showSelf() {
	mapped, err := MappedID("uid_map")
	if err != nil {
		panic(err)
	}
	var caps [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &caps[0]); err != nil {
		panic(err)
	}
	ambient, err := unix.PrctlRetInt(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_IS_SET, unix.CAP_DAC_OVERRIDE, 0, 0)
	if err != nil {
		panic(err)
	}
	var st unix.Stat_t
	if os.Getenv(show) == "place" {
		showPlace()
	}
	fmt.Printf("%q uid %d mapped %d dac_override %v ambient %v fd 3 %v fd 100 %v\n", os.Args, os.Getuid(), mapped,
		caps[0].Effective&(1<<unix.CAP_DAC_OVERRIDE) != 0, ambient == 1, unix.Fstat(3, &st), unix.Fstat(100, &st))
}

// showPlace prints where this process is.
func showPlace() {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	ns, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		panic(err)
	}
	sid, err := unix.Getsid(0)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s in %s, leads a session: %v; ", dir, ns, sid == os.Getpid())
}

// newNamespace returns a descriptor of a user namespace in which id is mapped to the
// caller's.
func newNamespace(t *testing.T, id int) int {
	t.Helper()
	cmd := exec.Command("/bin/cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: id, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: id, HostID: os.Getgid(), Size: 1}},
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/user", cmd.Process.Pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
	_ = cmd.Wait()
	t.Cleanup(func() { unix.Close(ns) })
	return ns
}

func run(t *testing.T, ns int) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	// A descriptor that the program must not inherit.
	if err := unix.Dup3(int(w.Fd()), 100, 0); err == nil {
		defer unix.Close(100)
	}
	out := int(w.Fd())
	cmd := Command{Namespace: ns, Path: "/proc/self/exe", Args: []string{"name", "arg"}, Env: append(os.Environ(), show+"=1"), Files: []int{out, out, 2, out}}
	pid, err := cmd.Start()
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	unix.Close(100)
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil || status != 0 {
		t.Errorf("status %#x, %v", status, err)
	}
	return string(b)
}

// The program has all capabilities in the namespace, even if it is not root there, and has
// only the descriptors in Files.
func TestStart(t *testing.T) {
	for _, id := range []int{0, 1000} {
		want := fmt.Sprintf("[\"name\" \"arg\"] uid %d mapped %d dac_override true ambient true fd 3 <nil> fd 100 bad file descriptor\n", id, id)
		if diff := cmp.Diff(want, run(t, newNamespace(t, id))); diff != "" {
			t.Errorf("id %d (-want +got):\n%s", id, diff)
		}
	}
	if got := run(t, -1); !strings.Contains(got, fmt.Sprintf(" uid %d ", os.Getuid())) {
		t.Errorf("without a namespace: %s", got)
	}
}

// newPlace returns descriptors of a user namespace in which root is mapped to the caller, and of a mount
// namespace that belongs to it.
func newPlace(t *testing.T) (user, mount int) {
	t.Helper()
	cmd := exec.Command("/bin/cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	open := func(name string) int {
		fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/%s", cmd.Process.Pid, name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	return open("user"), open("mnt")
}

// With a Place, the program starts as a child of clone(CLONE_NEWUSER | CLONE_NEWNS) does.
func TestStartInPlace(t *testing.T) {
	user, mount := newPlace(t)
	link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", mount))
	if err != nil {
		t.Fatal(err)
	}
	for _, setsid := range []bool{false, true} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		// A descriptor that the program inherits.
		if err := unix.Dup3(int(w.Fd()), 100, 0); err != nil {
			t.Fatal(err)
		}
		out := int(w.Fd())
		c := Command{
			Namespace: user, Place: &Place{MountNS: mount, Dir: "/usr", Setsid: setsid},
			Path: "/proc/self/exe", Args: []string{"name"}, Env: append(os.Environ(), show+"=place"), Files: []int{out, out, 2, out},
		}
		pid, err := c.Start()
		w.Close()
		unix.Close(100)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Wait4(pid, nil, 0, nil); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("/usr in %s, leads a session: %v; [\"name\"] uid 0 mapped 0 dac_override true ambient false fd 3 <nil> fd 100 <nil>\n", link, setsid)
		if diff := cmp.Diff(want, string(b)); diff != "" {
			t.Errorf("setsid %v (-want +got):\n%s", setsid, diff)
		}
	}
	c := Command{Namespace: user, Place: &Place{MountNS: mount, Dir: "/nonexistent"}, Path: "/proc/self/exe", Args: []string{"name"}, Env: os.Environ()}
	if _, err := c.Start(); err == nil || !strings.Contains(err.Error(), "chdir to /nonexistent: no such file") {
		t.Errorf("the error is %v", err)
	}
}

// An error names the step that failed, and leaves neither a child nor a descriptor.
func TestStartFails(t *testing.T) {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	count := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := count()
	for _, tt := range []struct {
		name string
		cmd  Command
		want string
		e    unix.Errno
	}{
		{"no program", Command{Namespace: -1, Path: "/nonexistent"}, "execve", unix.ENOENT},
		{"not a program", Command{Namespace: -1, Path: "/dev/null"}, "execve", unix.EACCES},
		{"not a namespace", Command{Namespace: null, Path: "/proc/self/exe"}, "setns(CLONE_NEWUSER)", unix.EINVAL},
		{"bad descriptor", Command{Namespace: -1, Path: "/proc/self/exe", Files: []int{null, 1 << 20}}, "duplicating descriptor 1048576", unix.EBADF},
		{"bad namespace", Command{Namespace: 1 << 20, Path: "/proc/self/exe"}, "duplicating descriptor 1048576", unix.EBADF},
	} {
		tt.cmd.Args, tt.cmd.Env = []string{"program"}, os.Environ()
		_, err := tt.cmd.Start()
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.e.Error()) {
			t.Errorf("%s: %v; want %s: %v", tt.name, err, tt.want, tt.e)
		}
	}
	if after := count(); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
		t.Errorf("a child is left: %d, %v", pid, err)
	}
}

func TestEqual(t *testing.T) {
	a, b := newNamespace(t, 0), newNamespace(t, 0)
	own, err := unix.Open("/proc/self/ns/user", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(own)
	again, err := unix.Dup(a)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(again)
	for _, tt := range []struct {
		name string
		x, y int
		want bool
	}{{"itself", a, a, true}, {"a duplicate", a, again, true}, {"another", a, b, false}, {"the caller's", a, own, false}} {
		if got, err := Equal(tt.x, tt.y); err != nil || got != tt.want {
			t.Errorf("%s: %v, %v; want %v", tt.name, got, err, tt.want)
		}
	}
	if got, err := IsOwn(own); err != nil || !got {
		t.Errorf("IsOwn is false for the caller's namespace: %v", err)
	}
	if got, err := IsOwn(a); err != nil || got {
		t.Errorf("IsOwn is true for another namespace: %v", err)
	}
	if _, err := Equal(a, 1<<20); err == nil {
		t.Error("no error for a bad descriptor")
	}
}

// A program behind a gate is the first one that can be executed, and begins when it is released; it
// ends if its parent closes the gate.
func TestStartGated(t *testing.T) {
	user, mount := newPlace(t)
	dir := t.TempDir()
	notExecutable := dir + "/not-executable"
	if err := os.WriteFile(notExecutable, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	broken := dir + "/broken"
	if err := os.WriteFile(broken, []byte("#!/nonexistent\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	allow := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
	const unknown = 1 << 31
	start := func(paths ...string) (*Gated, bool, error) {
		c := Command{Namespace: user, Place: &Place{MountNS: mount, Dir: "/"}, Args: []string{"sh", "-c", "exit 3"}, Files: []int{0, 1, 2}}
		return c.StartGated(Gate{
			Paths: paths, Filter: &unix.SockFprog{Len: 1, Filter: &allow},
			Flags: []uintptr{unknown | unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER},
		})
	}
	for _, tt := range []struct {
		name    string
		paths   []string
		release bool
		err     error
		status  int
	}{
		{"released", []string{"/nonexistent/sh", dir, notExecutable, "/bin/sh"}, true, nil, 3},
		{"not executable", []string{broken, "/bin/sh"}, true, unix.ENOENT, 127},
		{"closed", []string{"/bin/sh"}, false, nil, 127},
	} {
		g, _, err := start(tt.paths...)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", g.Pid, g.Listener)); err != nil || link != "anon_inode:seccomp notify" {
			t.Errorf("%s: the listener is %q, %v", tt.name, link, err)
		}
		if tt.release {
			err = g.Release()
		} else {
			g.Close()
		}
		status, waitErr := Wait(g.Pid)
		if err != tt.err || waitErr != nil || status.ExitStatus() != tt.status {
			t.Errorf("%s: %v, exit status %d, %v", tt.name, err, status.ExitStatus(), waitErr)
		}
	}
	for _, paths := range [][]string{nil, {dir, notExecutable, "/nonexistent"}} {
		if _, unprepared, err := start(paths...); !unprepared || err == nil {
			t.Errorf("%v: unprepared %v, %v", paths, unprepared, err)
		}
	}
}
