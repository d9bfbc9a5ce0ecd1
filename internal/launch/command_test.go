package launch

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLookPath(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"a", "b", "b/dir"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for file, mode := range map[string]os.FileMode{
		"here": 0o755, "a/text": 0o644, "a/both": 0o644, "b/both": 0o755, "b/prog": 0o755,
	} {
		if err := os.WriteFile(file, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name, path string
		file       string
		status     int
		message    string
	}{
		{"prog", "a:b", "b/prog", 0, ""},
		{"both", "a:b", "b/both", 0, ""}, // a file that is not executable is skipped
		{"here", "a:", "./here", 0, ""},  // an empty element is the working directory
		{"./here", "a", "./here", 0, ""},
		{"here", "a:b", "", StatusNotFound, "command not found"},
		{"", "a:b", "", StatusNotFound, "command not found"},
		{"prog", "/no/such:a", "", StatusNotFound, "command not found"},
		{"text", "b:a", "", StatusNotExecutable, "a/text: permission denied"},
		{"dir", "b", "", StatusNotExecutable, "b/dir: is a directory"},
		{"./nosuch", "a", "", StatusNotFound, "./nosuch: no such file"},
		{"a/text/x", "a", "", StatusNotFound, "not a directory"},
		{"a/text", "b", "", StatusNotExecutable, "a/text: permission denied"},
	} {
		file, status, err := lookPath(tc.name, tc.path)
		if tc.message == "" {
			if err != nil || file != tc.file || status != 0 {
				t.Errorf("lookPath(%q, %q) = %q, %d, %v; want %q", tc.name, tc.path, file, status, err, tc.file)
			}
			continue
		}
		if err == nil || status != tc.status || !strings.Contains(err.Error(), tc.message) {
			t.Errorf("lookPath(%q, %q): %d, %v; want %d and %q", tc.name, tc.path, status, err, tc.status, tc.message)
		}
	}
}

func TestDescribeExec(t *testing.T) {
	for errno, want := range map[unix.Errno]int{
		unix.ENOENT:  StatusNotFound,
		unix.ENOEXEC: StatusNotExecutable,
		unix.EACCES:  StatusNotExecutable,
		unix.E2BIG:   StatusNotExecutable,
	} {
		status, err := describeExec("/bin/x", errno)
		if status != want || !strings.Contains(err.Error(), errno.Error()) || !strings.Contains(err.Error(), "/bin/x") {
			t.Errorf("describeExec(%v) = %d, %v; want %d", errno, status, err, want)
		}
	}
}

func TestExitStatus(t *testing.T) {
	// wait(2): the low byte holds the signal, the next one the exit status.
	for ws, want := range map[unix.WaitStatus]int{
		0:                                    0,
		7 << 8:                               7,
		unix.WaitStatus(unix.SIGKILL):        137,
		unix.WaitStatus(unix.SIGSEGV | 0x80): 139, // with a core dump
	} {
		if got := exitStatus(ws); got != want {
			t.Errorf("exitStatus(%#x) = %d, want %d", uint32(ws), got, want)
		}
	}
}
