package cred_test

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/rootless-containers/subuidless/internal/cred"
	"github.com/rootless-containers/subuidless/internal/credtest"
)

// role in the environment makes the test binary run another program than the tests.
const role = "SUBUIDLESS_CREDTEST"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "executed":
		executed()
	case "target":
		target()
	default:
		// There are many rules, and a check takes milliseconds.
		if err := flag.Set("rapid.checks", "500"); err != nil {
			panic(err)
		}
		os.Exit(m.Run())
	}
}

// image has the properties that a program finds when it starts.
type image struct {
	Credentials cred.Credentials
	Secure      bool // AT_SECURE
}

// executed is the program under test: it writes its image to standard output.
func executed() {
	i := image{Credentials: credtest.Read()}
	vector, err := unix.Auxv()
	if err != nil {
		panic(err)
	}
	const atSecure = 23 // AT_SECURE of <linux/auxvec.h>
	for _, entry := range vector {
		if entry[0] == atSecure && entry[1] != 0 {
			i.Secure = true
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(i); err != nil {
		panic(err)
	}
}

// publicDir returns a temporary directory that every user may search.
func publicDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// install copies the test binary to dir, and returns its path.
func install(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "program")
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// fileCaps draws the capabilities of a file, or nil.
func fileCaps() *rapid.Generator[*cred.FileCaps] {
	return rapid.OneOf(rapid.Just[*cred.FileCaps](nil), rapid.Custom(func(t *rapid.T) *cred.FileCaps {
		return &cred.FileCaps{
			Permitted:   rapid.OneOf(rapid.Just(cred.Caps(0)), credtest.Caps()).Draw(t, "file permitted"),
			Inheritable: credtest.Caps().Draw(t, "file inheritable"),
			Effective:   rapid.Bool().Draw(t, "file effective"),
			RootID:      rapid.SampledFrom([]uint32{0, 0, 0, 1000}).Draw(t, "file root id"),
		}
	}))
}

// TestExecKernel executes programs with random owners, modes and capabilities, and compares
// the credentials that they find with Exec.
func TestExecKernel(t *testing.T) {
	credtest.NeedRoot(t)
	if !idsChangeFromEffective(t) {
		t.Skip("needs Linux 6.16, which compares ids with the effective ones")
	}
	nosuid := publicDir(t)
	if err := unix.Mount("tmpfs", nosuid, "tmpfs", unix.MS_NOSUID, "mode=0755"); err != nil {
		t.Fatalf("mounting a tmpfs nosuid: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(nosuid, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	programs := map[bool]string{false: install(t, publicDir(t)), true: install(t, nosuid)}

	rapid.Check(t, func(t *rapid.T) {
		from := credtest.Credentials().Draw(t, "from")
		f := cred.ExecFile{
			UID:        credtest.ID().Draw(t, "file uid"),
			GID:        credtest.ID().Draw(t, "file gid"),
			Mode:       unix.S_IFREG | 0o745 | rapid.SampledFrom([]uint32{0, 0o010, 0o4000, 0o2000, 0o2010, 0o6010}).Draw(t, "mode"),
			NoSuid:     rapid.IntRange(0, 4).Draw(t, "mount") == 1,
			NoNewPrivs: rapid.IntRange(0, 3).Draw(t, "no_new_privs") == 1,
			Traced:     rapid.IntRange(0, 3).Draw(t, "traced") == 1,
			Caps:       fileCaps().Draw(t, "file capabilities"),
		}
		got, err := execute(from, f, programs[f.NoSuid])
		if errors.Is(err, unix.EACCES) {
			t.Skip("the group has no execute permission")
		}
		to, secure, e := from.Exec(f)
		if e != 0 {
			if !errors.Is(err, e) {
				t.Fatalf("from %+v\nexec %+v %+v\nkernel %+v %v\nmodel %v", from, f, f.Caps, got, err, e)
			}
			return
		}
		if err != nil || got.Secure != secure || !got.Credentials.Equal(to) {
			t.Fatalf("from %+v\nexec %+v %+v\nkernel %+v %v\nmodel  %+v %v", from, f, f.Caps, got, err, to, secure)
		}
	})
}

// execute executes path, after giving it the properties f, in a thread with the credentials
// from.
func execute(from cred.Credentials, f cred.ExecFile, path string) (image, error) {
	if err := os.Chown(path, int(f.UID), int(f.GID)); err != nil {
		return image{}, err
	}
	if err := unix.Chmod(path, f.Mode&0o7777); err != nil {
		return image{}, err
	}
	if f.Caps != nil {
		if err := unix.Setxattr(path, "security.capability", f.Caps.Append(nil), 0); err != nil {
			return image{}, err
		}
	}
	cmd := exec.Command(path)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), role+"=executed")
	if f.Traced {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_FS}
	}
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var err error
	thread := credtest.NewThread()
	defer thread.Close()
	thread.Do(func() {
		if f.NoNewPrivs {
			if err = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
				return
			}
		}
		credtest.Become(from)
		err = cmd.Run()
	})
	if err != nil {
		return image{}, errors.Join(err, errors.New(stderr.String()))
	}
	var got image
	return got, json.Unmarshal([]byte(stdout.String()), &got)
}

// idsChangeFromEffective reports whether execve(2) compares the new ids with the effective
// ones: it then keeps ambient capabilities if real and effective uid differ, but the
// program does not change them.
func idsChangeFromEffective(t *testing.T) bool {
	t.Helper()
	c := credtest.Root()
	c.UID = cred.IDs{Real: 1000, Effective: 1001, Saved: 1001, FS: 1001}
	c.Inheritable = 1 << unix.CAP_CHOWN
	c.Ambient = c.Inheritable
	got, err := execute(c, cred.ExecFile{Mode: 0o755}, install(t, publicDir(t)))
	if err != nil {
		t.Fatal(err)
	}
	return got.Credentials.Ambient != 0
}
