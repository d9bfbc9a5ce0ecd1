package doctor

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain also is the main function of the processes that checks start.
func TestMain(m *testing.M) {
	if os.Args[0] == ProcName {
		os.Exit(ProcMain())
	}
	os.Exit(m.Run())
}

func TestStatus(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		weight Weight
		err    error
		want   string
	}{
		{Needed, nil, "ok"},
		{Needed, broken, "missing"},
		{Useful, nil, "ok"},
		{Useful, broken, "degraded"},
		{Informative, nil, "note"},
		{Informative, broken, "note"},
	} {
		f := Finding{Check: Check{Weight: tt.weight}, Err: tt.err}
		if got := f.Status(); got != tt.want {
			t.Errorf("weight %d with error %v: status %q, want %q", tt.weight, tt.err, got, tt.want)
		}
	}
}

func TestPrint(t *testing.T) {
	findings := Examine(NewMachine("."), []Check{
		{Name: "stove", Weight: Needed, Probe: func(*Machine) (string, error) { return "gas", nil }},
		{Name: "salt", Weight: Useful, Since: "Linux 1.0", Probe: func(*Machine) (string, error) { return "", nil }},
		{Name: "pots", Weight: Needed, Since: "Linux 2.0", Without: "nothing cooks",
			Probe: func(*Machine) (string, error) { return "", errors.New("no pots\nbuy some") }},
		{Name: "a long spoon", Weight: Useful, Without: "it takes longer",
			Probe: func(*Machine) (string, error) { return "", errors.New("no spoon") }},
		{Name: "guests", Weight: Informative, Probe: func(*Machine) (string, error) { return "two", nil }},
	})
	const want = `
ok        stove         gas
ok        salt          since Linux 1.0
missing   pots          no pots
                        buy some
                        available since Linux 2.0
                        without it, nothing cooks
degraded  a long spoon  no spoon
                        without it, it takes longer
note      guests        two

subuidless cannot run on this machine: a required feature is missing.
`
	var b strings.Builder
	if err := Print(&b, findings); err != nil {
		t.Fatal(err)
	}
	if got := "\n" + b.String(); got != want {
		t.Errorf("got:%s\nwant:%s", got, want)
	}
	if n := Missing(findings); n != 1 {
		t.Errorf("Missing: %d, want 1", n)
	}
}

// TestChecks runs the real checks. Their findings depend on the machine, but each check must
// report something, and leave nothing behind.
func TestChecks(t *testing.T) {
	dir, state := t.TempDir(), t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	for _, f := range Examine(NewMachine(dir), Checks) {
		t.Logf("%-8s  %s: %s", f.Status(), f.Check.Name, strings.Join(f.lines(), "; "))
		if f.Err == nil && strings.Join(f.lines(), "") == "" {
			t.Errorf("%s: reports nothing", f.Check.Name)
		}
		if f.Check.Weight != Informative && f.Check.Without == "" {
			t.Errorf("%s: does not say what does not work without it", f.Check.Name)
		}
	}
	for _, d := range []string{dir, state} {
		if left, err := os.ReadDir(d); err != nil || len(left) > 0 {
			t.Errorf("%s: left behind %v (%v)", d, left, err)
		}
	}
}

func TestFileSystem(t *testing.T) {
	if got := fileSystem("/proc/self"); got != "proc" {
		t.Errorf("/proc/self is on %s, want proc", got)
	}
	if got := fileSystem("/nonexistent"); got != "an unknown file system" {
		t.Errorf("/nonexistent is on %s", got)
	}
}

// TestNoXattrs checks a directory in which no files can be created.
func TestNoXattrs(t *testing.T) {
	_, err := workDirectory(NewMachine("/proc"))
	if err == nil || !strings.Contains(err.Error(), "/proc is on proc") {
		t.Errorf("got %v", err)
	}
}

// An error of the moment says nothing about what the file system can store.
func TestTransientError(t *testing.T) {
	for err, remedy := range map[error]string{
		fmt.Errorf("setting: %w", unix.EDQUOT): "quota", fmt.Errorf("setting: %w", unix.ESTALE): "mount", unix.ENOTSUP: "", errDropped: "",
	} {
		if got := transientRemedy(err); !strings.Contains(got, remedy) || (got == "") != (remedy == "") {
			t.Errorf("%v: %q", err, got)
		}
	}
	f := Finding{Check: Check{Without: "something is missing"}, Err: transient{unix.EDQUOT}}
	if got := strings.Join(f.lines(), "\n"); got != "disk quota exceeded" {
		t.Errorf("prints %q", got)
	}
}
