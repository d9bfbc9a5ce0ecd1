package agentproto

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/fdpass"
)

// connect returns both ends of a connection like those that the agent accepts.
func connect(t testing.TB) (server, client *net.UnixConn) {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: filepath.Join(t.TempDir(), "s")})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	raw, err := ln.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client = conn.(*net.UnixConn)
	t.Cleanup(func() { client.Close() })
	server, err = ln.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	if err := server.SetReadDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	return server, client
}

// file returns a file with the given content, by which a test identifies it.
func file(t testing.TB, content string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.WriteString(content); err != nil {
		t.Fatal(err)
	}
	return f
}

func send(t testing.TB, c *net.UnixConn, text string, files ...*os.File) {
	t.Helper()
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	// A message longer than the socket's buffer is sent in parts.
	first := min(len(text), 4096)
	if err := fdpass.Write(c, []byte(text[:first]), fds...); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text[first:]); err != nil {
		t.Fatal(err)
	}
}

// openFiles counts the descriptors of this process.
func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func stateText(t testing.TB, change func(*specs.ContainerProcessState)) string {
	t.Helper()
	state := specs.ContainerProcessState{
		Version: "0.2.0",
		Fds:     []string{specs.SeccompFdName},
		Pid:     4711,
		State:   specs.State{Version: "0.2.0", ID: "foo", Status: specs.StateCreating, Pid: 4711, Bundle: "/b"},
	}
	if change != nil {
		change(&state)
	}
	text, err := json.MarshalIndent(state, "", "  ") // as crun does
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestReceive(t *testing.T) {
	listener, other := file(t, "listener"), file(t, "other")
	tests := []struct {
		name string
		send func(t *testing.T, c *net.UnixConn)
		want Process // except Listener
	}{
		{"crun 0.15", func(t *testing.T, c *net.UnixConn) { send(t, c, " ", listener) },
			Process{Pid: os.Getpid()}},
		{"init", func(t *testing.T, c *net.UnixConn) { send(t, c, stateText(t, nil), listener) },
			Process{ContainerID: "foo", Bundle: "/b", Pid: 4711, Status: "creating"}},
		{"crun's exec does not know the pid", func(t *testing.T, c *net.UnixConn) {
			send(t, c, stateText(t, func(s *specs.ContainerProcessState) { s.Pid, s.State.Status = 0, specs.StateRunning }), listener)
		}, Process{ContainerID: "foo", Bundle: "/b", Status: "running"}},
		{"several descriptors", func(t *testing.T, c *net.UnixConn) {
			send(t, c, stateText(t, func(s *specs.ContainerProcessState) { s.Fds = []string{"other", specs.SeccompFdName, "third"} }), other, listener, other)
		}, Process{ContainerID: "foo", Bundle: "/b", Pid: 4711, Status: "creating"}},
		{"descriptors that are not announced", func(t *testing.T, c *net.UnixConn) { send(t, c, stateText(t, nil), listener, other) },
			Process{ContainerID: "foo", Bundle: "/b", Pid: 4711, Status: "creating"}},
		{"in pieces", func(t *testing.T, c *net.UnixConn) {
			text := stateText(t, nil)
			send(t, c, text[:5], listener)
			for _, b := range []byte(text[5:]) {
				send(t, c, string(b))
			}
		}, Process{ContainerID: "foo", Bundle: "/b", Pid: 4711, Status: "creating"}},
		{"the descriptor comes with the end", func(t *testing.T, c *net.UnixConn) {
			text := stateText(t, nil)
			send(t, c, text[:50])
			send(t, c, text[50:], listener)
		}, Process{ContainerID: "foo", Bundle: "/b", Pid: 4711, Status: "creating"}},
		{"3 MiB of annotations", func(t *testing.T, c *net.UnixConn) {
			send(t, c, stateText(t, func(s *specs.ContainerProcessState) {
				s.State.Annotations = map[string]string{"a": strings.Repeat("x", 3<<20)}
			}), listener)
		}, Process{ContainerID: "foo", Bundle: "/b", Pid: 4711, Status: "creating",
			Annotations: map[string]string{"a": strings.Repeat("x", 3<<20)}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server, client := connect(t)
			before := openFiles(t)
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				tt.send(t, client) // which leaves the connection open, as old crun does
			}()
			p, err := Receive(server)
			<-sent
			if err != nil {
				t.Fatal(err)
			}
			if n := openFiles(t); n != before+1 {
				t.Errorf("%d descriptors more than before, want 1", n-before)
			}
			var content [64]byte
			n, err := p.Listener.ReadAt(content[:], 0)
			if err != io.EOF || string(content[:n]) != "listener" {
				t.Errorf("the listener is %q (%v)", content[:n], err)
			}
			if err := p.Listener.Close(); err != nil {
				t.Error(err)
			}
			p.Listener = nil
			if diff := cmp.Diff(tt.want, *p); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReceiveErrors(t *testing.T) {
	listener := file(t, "listener")
	state := stateText(t, nil)
	tests := []struct {
		name  string
		text  string
		files int
		want  string
	}{
		{"nothing", "", 0, "closed before a message arrived"},
		{"garbage", "GET / HTTP/1.1\r\n\r\n", 1, "invalid character 'G'"},
		{"another type", `["a"]`, 1, "cannot unmarshal array"},
		{"a space without descriptor", " ", 0, "is truncated"},
		{"half a message", state[:len(state)/2], 1, "is truncated"},
		{"no descriptor", state, 0, "lists 1 descriptors, but only 0 were received"},
		{"no name", strings.Replace(state, specs.SeccompFdName, "other", 1), 1, `no descriptor "seccompFd"`},
		{"no pid", strings.ReplaceAll(state, "4711", "0"), 1, "has pid 0"},
		{"no id", strings.Replace(state, `"foo"`, `""`, 1), 1, "no container id"},
		{"a path for an id", strings.Replace(state, `"foo"`, `"../foo"`, 1), 1, `invalid container id "../foo"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server, client := connect(t)
			before := openFiles(t)
			if tt.text != "" {
				send(t, client, tt.text, []*os.File{listener, listener}[:tt.files]...)
			}
			if err := client.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			_, err := Receive(server)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want %q", err, tt.want)
			}
			if n := openFiles(t); n != before {
				t.Errorf("%d descriptors leaked", n-before)
			}
		})
	}
}

func TestReceiveTimeout(t *testing.T) {
	server, client := connect(t)
	send(t, client, stateText(t, nil)[:20])
	if err := server.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := Receive(server); err == nil || !strings.Contains(err.Error(), "incomplete") {
		t.Errorf("got error %v, want it to be incomplete", err)
	}
}

func TestReceiveTooLarge(t *testing.T) {
	server, client := connect(t)
	go func() {
		// The reader closes the connection in the end, so an error is expected.
		_, _ = io.WriteString(client, `{"metadata":"`)
		chunk := bytes.Repeat([]byte("x"), 1<<20)
		for {
			if _, err := client.Write(chunk); err != nil {
				return
			}
		}
	}()
	_, err := Receive(server)
	if err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
		t.Errorf("got error %v", err)
	}
	server.Close()
}

func FuzzReceive(f *testing.F) {
	f.Add([]byte(" "), uint8(1), 1)
	f.Add([]byte(stateText(f, nil)), uint8(1), 5)
	f.Add([]byte(stateText(f, nil)), uint8(3), 1000)
	f.Add([]byte(`{"fds":["seccompFd","seccompFd"],"pid":1,"state":{"id":"a"}}`), uint8(0), 0)
	listener := file(f, "listener")
	f.Fuzz(func(t *testing.T, text []byte, files uint8, cut int) {
		server, client := connect(t)
		before := openFiles(t)
		var fds []*os.File
		for range files % 8 {
			fds = append(fds, listener)
		}
		if cut = max(0, min(cut, len(text))); cut > 0 {
			send(t, client, string(text[:cut]), fds...)
		}
		if cut < len(text) {
			send(t, client, string(text[cut:]))
		}
		if err := client.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		p, err := Receive(server)
		if err == nil {
			if p.Pid <= 0 && p.Status != specs.StateRunning {
				t.Errorf("accepted pid %d", p.Pid)
			}
			if err := p.Listener.Close(); err != nil {
				t.Error(err)
			}
		}
		if n := openFiles(t); n != before {
			t.Errorf("%d descriptors leaked", n-before)
		}
	})
}
