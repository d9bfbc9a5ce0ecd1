package agent

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestMain makes the test program behave as a service to which systemd passed a socket, if
// TestActivation executes it as such.
func TestMain(m *testing.M) {
	if path, ok := os.LookupEnv("TEST_ACTIVATION"); ok {
		os.Exit(activated(path))
	}
	os.Exit(m.Run())
}

// activated prints the socket that Listen finds.
func activated(path string) int {
	// systemd sets it between fork and exec; os/exec cannot.
	if err := os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid())); err != nil {
		panic(err)
	}
	socket, err := Listen(path)
	if err != nil {
		os.Stdout.WriteString(err.Error())
		return 1
	}
	os.Stdout.WriteString(socket.Addr().String())
	if err := socket.Close(); err != nil {
		panic(err)
	}
	return 0
}

func TestActivation(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	file := func(f *os.File, err error) *os.File {
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	datagrams, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dir, "d")})
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	unixFile, tcpFile, datagramFile := file(ln.File()), file(tcp.(*net.TCPListener).File()), file(datagrams.File())
	for _, tt := range []struct {
		name, argument string
		sockets        []*os.File
		want           string
	}{
		{"one socket", "", []*os.File{unixFile}, path},
		{"the same on the command line", path, []*os.File{unixFile}, path},
		{"another on the command line", "/other", []*os.File{unixFile}, "omit one"},
		{"two sockets", "", []*os.File{unixFile, unixFile}, "passed 2 sockets"},
		{"tcp", "", []*os.File{tcpFile}, "passed a tcp socket"},
		{"datagrams", "", []*os.File{datagramFile}, "does not listen for connections"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), "TEST_ACTIVATION="+tt.argument, "LISTEN_FDS="+strconv.Itoa(len(tt.sockets)))
			cmd.ExtraFiles = tt.sockets
			out, err := cmd.CombinedOutput()
			if !strings.Contains(string(out), tt.want) {
				t.Errorf("%s (%v), want %s", out, err, tt.want)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("the socket of systemd is gone: %v", err)
			}
		})
	}
}

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	socket, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if info, err = os.Stat(socket.KeeperDir); err != nil || info.Mode() != os.ModeDir|0o700 {
		t.Errorf("directory of the keepers: %v, %v", info, err)
	}
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "another subuidless agent") {
		t.Errorf("a second agent got error %v", err)
	}
	if err := socket.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket remains (%v)", err)
	}
	if err := socket.Unlock(); err != nil {
		t.Error(err)
	}
	if socket, err = Listen(path); err != nil {
		t.Fatalf("the next agent got error %v", err)
	}
	// Leave the socket behind, as an agent that is killed does.
	socket.SetUnlinkOnClose(false)
	if err := socket.Close(); err != nil {
		t.Error(err)
	}
	if err := socket.Unlock(); err != nil {
		t.Error(err)
	}
	if socket, err = Listen(path); err != nil {
		t.Fatalf("with a stale socket: %v", err)
	}
	if err := socket.Close(); err != nil {
		t.Error(err)
	}
	if err := socket.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestListenErrors(t *testing.T) {
	dir := t.TempDir()
	join := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(join("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"open": 0o777, "group": 0o770, "sticky": 0o777 | os.ModeSticky} {
		if err := os.Mkdir(join(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(join(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(join("mine.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	live, err := net.Listen("unix", join("live"))
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	for _, tt := range []struct{ path, want string }{
		{join(strings.Repeat("x", 108)), "the kernel allows 107"},
		{join("none/s"), "create it first"},
		{join("file/s"), "not a directory"},
		{join("open/s"), "writable by others (mode 0777)"},
		{join("group/s"), "writable by others (mode 0770)"},
		{join("file"), "not a socket"},
		{join("live"), "another program listens"},
		{join("mine"), "must be yours alone"},
	} {
		if _, err := Listen(tt.path); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want %q", tt.path, err, tt.want)
		}
	}
	socket, err := Listen(join("sticky/s"))
	if err != nil {
		t.Fatal(err)
	}
	if err := socket.Close(); err != nil {
		t.Error(err)
	}
	if err := socket.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestDefaultSocket(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/1")
	t.Setenv("HOME", "/home/u")
	if path, err := DefaultSocket(); err != nil || path != "/run/user/1/subuidless.sock" {
		t.Error(path, err)
	}
	t.Setenv("XDG_RUNTIME_DIR", "")
	if path, err := DefaultSocket(); err != nil || path != "/home/u/.subuidless.sock" {
		t.Error(path, err)
	}
	t.Setenv("HOME", "")
	if path, err := DefaultSocket(); err == nil {
		t.Error(path)
	}
}
