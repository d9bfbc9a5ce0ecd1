package test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScript runs the transcripts in testdata/script: commands that a user types, and
// their expected output.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		Setup:               setUp,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Deadline:            deadline,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"needs":  scriptNeeds,
			"rootfs": scriptRootfs,
			"layer":  scriptLayer,
			"alone":  scriptAlone,
		},
	})
}

// testKey is the key of the testscript.T of a script.
type testKey struct{}

func setUp(env *testscript.Env) error {
	env.Values[testKey{}] = env.T()
	run, err := shortRun()
	if err != nil {
		return err
	}
	env.Defer(func() {
		if err := stopSessions(run); err != nil {
			env.T().Log(err) // the test of leftovers fails
		}
		os.RemoveAll(run)
	})
	// Non-root users must be able to search them.
	for _, dir := range []string{filepath.Dir(env.WorkDir), env.WorkDir} {
		if err := os.Chmod(dir, 0o755); err != nil {
			return err
		}
	}
	home := filepath.Join(env.WorkDir, "home")
	env.Setenv("HOME", home)
	env.Setenv("USER", "tester")
	env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "state"))
	env.Setenv("XDG_RUNTIME_DIR", run)
	env.Setenv("TOP", work())
	env.Setenv("UID", strconv.Itoa(os.Getuid()))
	return os.Mkdir(home, 0o755)
}

// shortRun creates a runtime directory whose name is as short as possible. It contains sockets,
// and podman 4, which accepts at most 50 bytes for "$XDG_RUNTIME_DIR/containers", otherwise waits
// 20 s at the end of each container.
func shortRun() (string, error) {
	for n := 0; ; n++ {
		dir := work("run", strconv.Itoa(n))
		if err := os.Mkdir(dir, 0o700); !os.IsExist(err) {
			return dir, err
		}
	}
}

// scriptNeeds implements the command "needs REQUIREMENT...", which skips a script
// unless the requirements are met.
func scriptNeeds(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: needs REQUIREMENT...")
	}
	if reason, missing := unmet(args...); missing {
		ts.Value(testKey{}).(testscript.T).Skip(reason)
	}
}

// alone has a mutex for each name that scriptAlone knows.
var alone sync.Map

// scriptAlone implements the command "alone NAME", which lets only one script at a time go on that
// has it with this name. Scripts run beside each other.
func scriptAlone(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: alone NAME")
	}
	of, _ := alone.LoadOrStore(args[0], new(sync.Mutex))
	lock := of.(*sync.Mutex)
	lock.Lock()
	ts.Defer(lock.Unlock)
}

// scriptRootfs implements the command "rootfs DIR", which creates a root file system
// of busybox and nothing else.
func scriptRootfs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: rootfs DIR")
	}
	ts.Check(makeRootfs(ts.MkAbs(args[0])))
}

func makeRootfs(dir string) error {
	for _, d := range []string{"bin", "dev", "etc", "proc", "root", "sys", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(dir, "tmp"), 0o777|os.ModeSticky); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"passwd": "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n",
		"group":  "root:x:0:\nwww-data:x:33:\ntape:x:26:www-data\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, "etc", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	if err := copyFile(filepath.Join(dir, "bin", "busybox"), busybox); err != nil {
		return err
	}
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return err
	}
	for applet := range strings.Lines(string(bytes.TrimSpace(applets))) {
		link := filepath.Join(dir, "bin", strings.TrimSpace(applet))
		if err := os.Symlink("busybox", link); err != nil && !os.IsExist(err) {
			return err
		}
	}
	return nil
}
