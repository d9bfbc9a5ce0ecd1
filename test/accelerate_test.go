package test

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// accelerated returns the beginning of a command whose processes are accelerated at their
// first chance.
func accelerated(t *testing.T, options ...string) []string {
	t.Helper()
	needs(t, "cc")
	if runtime.GOARCH != "amd64" {
		t.Skip("processes are accelerated on amd64 only")
	}
	argv := append([]string{"subuidless", "exec", "--accelerate=on", "--accelerate-after=1"}, options...)
	return append(argv, "--")
}

// TestTaggedCalls makes calls with the tag of the code in accelerated processes, and with
// others.
func TestTaggedCalls(t *testing.T) {
	const ours, kernels = "newfstatat, %s: 42; stat: 42; fstat: 42; record: ENODATA\n", "newfstatat, %s: 0; stat: 42; fstat: 0; record: visible\n"
	const rest = "fchown: 43\nfsetxattr: EPERM\nafterwards: 43\nafter prlimit: 43\nopenat: ENOENT\n"
	for _, tt := range []struct{ mode, right string }{{"on", kernels}, {"off", ours}} {
		t.Run(tt.mode, func(t *testing.T) {
			accelerated(t)
			cmd := command(t, "subuidless", "exec", "--accelerate="+tt.mode, "--", "tagged")
			cmd.Dir = openDirectory(t)
			out, err := cmd.CombinedOutput()
			want := ""
			for _, tag := range []string{"none", "right", "near", "upper half", "lower half", "constant"} {
				line := ours
				if tag == "right" {
					line = tt.right
				}
				want += fmt.Sprintf(line, tag)
			}
			if want += rest; err != nil || string(out) != want {
				t.Errorf("%v\n%s", err, diff([]byte(want), out))
			}
		})
	}
}

// acceleratedTests are the tests of testdata/src/accelerated.c.
var acceleratedTests = []string{
	"calls", "registers", "signals", "longjmp", "threads", "bootstrap threads", "early", "fork", "unmap", "filter", "dispatch", "trace", "identity", "exec", "shared memory", "shared code",
}

// TestAccelerated does what could go wrong in accelerated processes, with call sites in a
// static program and in the C library.
func TestAccelerated(t *testing.T) {
	prefix := accelerated(t)
	dir := openDirectory(t)
	for name, compiler := range map[string][]string{"static": {"gcc", "-static"}, "dynamic": {"gcc"}} {
		program := compileWithRoom(t, filepath.Join(dir, name), "testdata/src/accelerated.c", compiler...)
		for _, test := range acceleratedTests {
			t.Run(name+"/"+test, func(t *testing.T) {
				cmd := command(t, append(prefix, program, test)...)
				cmd.Dir = openDirectory(t)
				cmd.Env = append(os.Environ(), "SUBUIDLESS_ACCELERATED=1")
				checkOK(t, cmd)
			})
		}
	}
}

// TestAcceleratedFilters has accelerated programs install filters that allow no call of the code: for all
// threads, while these make calls, and with calls of i386.
func TestAcceleratedFilters(t *testing.T) {
	prefix := accelerated(t)
	program := compileWithRoom(t, filepath.Join(openDirectory(t), "filters"), "testdata/src/filters.c", "gcc", "-pthread")
	for _, test := range []string{"threads", "i386"} {
		t.Run(test, func(t *testing.T) {
			cmd := command(t, append(prefix, program, test, "0.2")...)
			cmd.Dir = openDirectory(t)
			cmd.Env = append(os.Environ(), "SUBUIDLESS_ACCELERATED=1")
			checkOK(t, cmd)
		})
	}
}

// TestAcceleratedServers makes calls on file systems whose servers say other things than the kernel's.
func TestAcceleratedServers(t *testing.T) {
	needs(t, "answers", "fuse")
	prefix := accelerated(t, "--sidecar="+filepath.Join(openDirectory(t), "sidecar")) // knows of no such file system
	program := compileWithRoom(t, filepath.Join(openDirectory(t), "servers"), "testdata/src/servers.c", "gcc")
	for _, test := range []string{"interrupted", "refused"} {
		t.Run(test, func(t *testing.T) {
			cmd := command(t, append(prefix, program, test)...)
			cmd.Dir = openDirectory(t)
			cmd.Env = append(os.Environ(), "SUBUIDLESS_ACCELERATED=1", "REFUSING="+work("answers", "EPERM-ENODATA"))
			if out, err := cmd.Output(); err != nil || string(out) != "ok\n" { // there is a warning about this file system
				t.Errorf("%v\n%.4000s", err, out)
			}
		})
	}
}

// compileWithRoom compiles a C program so that there is room for a bootstrap at the end of its text,
// and returns its path.
func compileWithRoom(t *testing.T, program, source string, compiler ...string) string {
	t.Helper()
	for padding := range 4 {
		argv := append(slices.Clone(compiler), "-O1", fmt.Sprintf("-DPADDING=%d", 16+1024*padding), "-o", program, source)
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", argv, err, out)
		}
		f, err := elf.Open(program)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, p := range f.Progs {
			if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && -(p.Vaddr+p.Memsz)%4096 >= 512 {
				return program
			}
		}
	}
	t.Fatalf("%s has no room for a bootstrap", program)
	return ""
}

// TestNotAccelerated runs the same programs where nobody is accelerated: the tests
// themselves are right.
func TestNotAccelerated(t *testing.T) {
	accelerated(t)
	for _, test := range acceleratedTests {
		t.Run(test, func(t *testing.T) {
			cmd := command(t, "subuidless", "exec", "--accelerate=off", "--", "accelerated", test, "0.1")
			cmd.Dir = openDirectory(t)
			checkOK(t, cmd)
		})
	}
}

// checkOK runs a command, which must print "ok" and nothing else, but perhaps more than
// once.
func checkOK(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Trim(string(out), "ok\n") != "" || len(out) == 0 {
		t.Errorf("%v\n%.4000s", err, out)
	}
}

// ownedTree creates a directory with files of several owners, and returns it.
func ownedTree(t *testing.T) string {
	t.Helper()
	dir := openDirectory(t)
	const script = `for d in a b c d e f g h; do mkdir $d; for i in $(seq 100); do echo $i >$d/$i; done; ln -s 1 $d/link; mkfifo $d/fifo; done
		chown -R 42:43 c; chown 7 d/1 d/link; mknod e/null c 1 3; chmod 4755 f/1`
	cmd := command(t, "subuidless", "exec", "--", "sh", "-ec", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// walkers are commands that look at a tree, with output that does not depend on the time.
var walkers = map[string][]string{
	"find":   {"find", ".", "-ls"},
	"ls":     {"ls", "-lR", "."},
	"tar":    {"tar", "--sort=name", "-cf", "-", "."},
	"python": {"python3", "-c", "import os\nfor d, _, fs in sorted(os.walk('.')):\n for f in sorted(fs): print(d, f, os.lstat(os.path.join(d, f))[:7])"},
	"copies": {"sh", "-c", `d=$(mktemp -d) && cp -a . "$d/copy" && (cd "$d/copy" && find . -printf '%p %m %U:%G %y %l\n' | sort) && tar -cf "$d/tar" . && mkdir "$d/x" &&
		tar -C "$d/x" -xpf "$d/tar" && (cd "$d/x" && find . -printf '%p %m %U:%G %y %l\n' | sort) && rm -r "$d"`},
	"go":    {"sh", "-ec", "for i in 1 2 3; do gowalk; done"},
	"shell": {"sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do for f in */1 */link; do test -r $f -a -s $f && stat -c '%n %u:%g %a %F' $f; done; done"},
}

// TestAcceleratedWalks compares what accelerated programs see with what others see, and
// how many notifications that takes.
func TestAcceleratedWalks(t *testing.T) {
	dir := ownedTree(t)
	for name, walker := range walkers {
		t.Run(name, func(t *testing.T) {
			needsCommand(t, walker[0])
			trace := filepath.Join(t.TempDir(), "trace")
			want := walk(t, dir, append([]string{"subuidless", "exec", "--accelerate=off", "--trace", trace, "--"}, walker...)...)
			slow := lines(t, trace)
			if got := walk(t, dir, append(accelerated(t, "--trace", trace+"2"), walker...)...); !bytes.Equal(got, want) {
				t.Errorf("sees something else:\n%.4000s", diff(want, got))
			}
			fast := lines(t, trace+"2")
			t.Logf("%d notifications, otherwise %d", fast, slow)
			if name == "find" && fast > slow/2 { // a quarter of the files have records, or are no regular files
				t.Errorf("%d notifications, otherwise %d: that is too many", fast, slow)
			}
		})
	}
}

// TestAcceleratedAfterUsers accelerates programs that are executed by a process that was another user for
// a while, as apt-get is before it executes dpkg.
func TestAcceleratedAfterUsers(t *testing.T) {
	needs(t, "python3")
	dir := ownedTree(t)
	trace := filepath.Join(t.TempDir(), "trace")
	const program = "import os\nos.setegid(43); os.seteuid(42); os.seteuid(0); os.setegid(0)\nos.execvp('find', ['find', '.', '-ls'])"
	want := walk(t, dir, "subuidless", "exec", "--accelerate=off", "--trace", trace, "--", "python3", "-c", program)
	slow, fast := lines(t, trace), 0
	for attempt := range busyAttempts {
		trace := fmt.Sprint(trace, attempt)
		got := walk(t, dir, append(accelerated(t, "--trace", trace), "python3", "-c", program)...)
		if !bytes.Equal(got, want) {
			t.Errorf("sees something else:\n%.4000s", diff(want, got))
		}
		if fast = lines(t, trace); fast <= slow/2 {
			return
		}
	}
	t.Errorf("%d notifications, otherwise %d: that is too many", fast, slow)
}

// busyAttempts is how often a test of short programs may start one until it is accelerated: on a busy
// machine, it may have ended before.
const busyAttempts = 10

// TestAcceleratedGo runs a Go program, which has threads from its start, again and again: it gets the code
// before, except for the second time, when it is observed.
func TestAcceleratedGo(t *testing.T) {
	dir := ownedTree(t)
	trace := filepath.Join(t.TempDir(), "trace")
	script := func(argument string) []string {
		return []string{"sh", "-ec", "for i in 1 2 3; do gowalk " + argument + "; done"}
	}
	want := walk(t, dir, append([]string{"subuidless", "exec", "--accelerate=off", "--trace", trace, "--"}, script("")...)...)
	got := walk(t, dir, append(accelerated(t, "--trace", trace+"2"), script("mapped")...)...)
	const said = "accelerated\n"
	if n := bytes.Count(got, []byte(said)); n != 2 {
		t.Errorf("%d of 3 processes are accelerated, want 2", n)
	}
	if got := bytes.ReplaceAll(got, []byte(said), nil); !bytes.Equal(got, want) {
		t.Errorf("sees something else:\n%.4000s", diff(want, got))
	}
	slow, fast := lines(t, trace), lines(t, trace+"2")
	t.Logf("%d notifications, otherwise %d", fast, slow)
	if fast > slow/2 { // one process is not accelerated
		t.Errorf("%d notifications, otherwise %d: that is too many", fast, slow)
	}
}

// TestAcceleratedChanges compares what programs see after changes in directories with records, and
// how many notifications those take.
func TestAcceleratedChanges(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "trace")
	want := walk(t, openDirectory(t), "subuidless", "exec", "--accelerate=off", "--trace", trace, "--", "changes")
	got := walk(t, openDirectory(t), append(accelerated(t, "--trace", trace+"2"), "changes")...)
	if !bytes.Equal(got, want) {
		t.Errorf("sees something else:\n%.4000s", diff(want, got))
	}
	slow, fast := lines(t, trace), lines(t, trace+"2")
	t.Logf("%d notifications, otherwise %d", fast, slow)
	if fast > slow/2 {
		t.Errorf("%d notifications, otherwise %d: that is too many", fast, slow)
	}
}

// accelerationScript makes calls, enough of them for each receiver, and says whether the process is
// accelerated then.
const accelerationScript = `i=0; while test $i -lt 500; do test -e /etc && i=$((i+1)); done
	while read -r line; do case $line in *subuidless-accelerate*) echo accelerated; esac; done </proc/self/maps`

// TestAcceleratedUnderFilter accelerates processes where subuidless has been started under a seccomp filter,
// as in a container of docker, but none that has got a filter of its own.
func TestAcceleratedUnderFilter(t *testing.T) {
	script := []string{"sh", "-c", accelerationScript}
	for _, tt := range []struct {
		argv []string
		want string
	}{
		{slices.Concat([]string{"filtered"}, accelerated(t), script), "accelerated\n"},
		{slices.Concat([]string{"filtered"}, accelerated(t), []string{"filtered"}, script), ""},
		{slices.Concat(accelerated(t), []string{"filtered"}, script), ""},
	} {
		var out []byte
		var err error
		for range busyAttempts {
			if out, err = command(t, tt.argv...).CombinedOutput(); tt.want == "" || len(out) > 0 || err != nil {
				break
			}
		}
		if err != nil || string(out) != tt.want {
			t.Errorf("%v: %v\n%s", tt.argv[:2], err, out)
		}
	}
}

// TestAcceleratedSession accelerates the processes of a session, as the command that starts it says:
// session exec, and that of an engine, in whose place is a script.
func TestAcceleratedSession(t *testing.T) {
	accelerated(t)
	stopSessionsAfter(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "podman"), []byte("#!/bin/sh\n"+accelerationScript), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ command, session, mode, want, ineffective string }{
		{"podman", "accelerated", "auto", "accelerated\n", ""},
		{"session exec", "accelerated", "on", "accelerated\n", ""},
		{"session exec", "accelerated", "off", "accelerated\n", "--accelerate=off"},
		{"session exec", "plain", "off", "", ""},
		{"podman", "plain", "on", "", "--accelerate=on"},
	} {
		args := append(strings.Fields(tt.command), "--session", "TestAcceleratedSession-"+tt.session, "--accelerate="+tt.mode)
		if tt.command != "podman" {
			args = append(args, "--", "podman")
		}
		cmd := command(t, append([]string{"subuidless"}, args...)...)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		warned, _, _ := strings.Cut(strings.TrimPrefix(stderr.String(), "subuidless: "), " has no effect")
		if err != nil || string(out) != tt.want || warned != tt.ineffective {
			t.Errorf("%v: %v, %q\n%s", args, err, out, stderr.String())
		}
	}
}

// TestAcceleratedImages accelerates the processes of RUN, and of a container of an image.
func TestAcceleratedImages(t *testing.T) {
	accelerated(t)
	b := newBuildDir(t, map[string]string{"script": accelerationScript, "Dockerfile": "FROM localhost/base\nCOPY script /\nRUN sh /script >/said\n"})
	for _, tt := range []struct{ mode, want string }{{"on", "accelerated\n"}, {"off", ""}} {
		id, _ := b.build("--no-cache", "--accelerate="+tt.mode, ".")
		if got := b.run(id, "cat /said"); got != tt.want {
			t.Errorf("build --accelerate=%s: %q", tt.mode, got)
		}
		if got := subuidless(t, "run", "--rm", "-q", b.store, "--accelerate="+tt.mode, id, "sh", "/script"); got != tt.want {
			t.Errorf("run --accelerate=%s: %q", tt.mode, got)
		}
	}
}

// needsCommand skips the test if there is no such command.
func needsCommand(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skip(err)
	}
}

func walk(t *testing.T, dir string, argv ...string) []byte {
	t.Helper()
	cmd := command(t, argv...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Errorf("%v\n%.4000s", err, stderr.String())
	}
	return out
}

func lines(t *testing.T, file string) int {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(b, []byte("\n"))
}

// TestAcceleratedStorm is TestStorm with accelerated processes.
func TestAcceleratedStorm(t *testing.T) {
	prefix := accelerated(t)
	for _, s := range storms {
		t.Run(s.name, func(t *testing.T) {
			cmd := command(t, append(prefix, stormed(s.command)...)...)
			cmd.Dir = openDirectory(t)
			out, err := cmd.CombinedOutput()
			checkStorm(t, string(out), err, 0)
		})
	}
}
