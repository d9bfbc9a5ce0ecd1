package agent

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestServe sends messages that are no container, and expects the agent to log each of
// them, to keep serving, and to return when its context is done.
func TestServe(t *testing.T) {
	socket, err := Listen(filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	path := socket.Addr().String()
	var log bytes.Buffer
	a := &Agent{Log: slog.New(slog.NewTextHandler(&log, nil)), KeeperDir: socket.KeeperDir}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- a.Serve(ctx, socket) }()

	state := func(pid int) string {
		return fmt.Sprintf(`{"fds": ["seccompFd"], "pid": %d, "state": {"id": "foo", "status": "creating"}}`, pid)
	}
	for _, text := range []string{"garbage", state(1)[:30], state(os.Getpid())} {
		sendAndWait(t, path, text)
	}
	// A container that has been created, but not started, when the agent is stopped.
	created, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer created.Close()
	if _, err := created.Write([]byte("{")); err != nil {
		t.Fatal(err)
	}
	sendAndWait(t, path, "garbage") // accepted after it
	cancel()
	if _, err := created.Read(make([]byte, 1)); err == nil {
		t.Error("the agent has not closed the connection")
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := socket.Unlock(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket remains (%v)", err)
	}
	for _, want := range []string{"invalid character 'g'", "is truncated", "is /dev/null, not a seccomp listener", "must be created again"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("not logged: %s", want)
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 5 {
		t.Errorf("%d lines are logged, want 5", n)
	}
	if t.Failed() {
		t.Log(log.String())
	}
}

// sendAndWait sends text with a descriptor of /dev/null, and waits until the agent closes
// the connection.
func sendAndWait(t *testing.T, path, text string) {
	t.Helper()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, _, err := conn.(*net.UnixConn).WriteMsgUnix([]byte(text), unix.UnixRights(int(null.Fd())), nil); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil && !strings.Contains(err.Error(), "reset by peer") {
		t.Fatal(err)
	}
}

func TestCheckFiltered(t *testing.T) {
	// Process ids are below 1<<22: see proc_sys_kernel(5), pid_max.
	if err := checkFiltered(1 << 30); err == nil || !strings.Contains(err.Error(), "same PID namespace") {
		t.Errorf("got error %v", err)
	}
}

func TestKeyedMutex(t *testing.T) {
	var k keyedMutex
	var all sync.WaitGroup
	counts := map[string]*int{"a": new(int), "b": new(int)}
	for key, n := range counts {
		for range 100 {
			all.Go(func() {
				defer k.lock(key)()
				*n++ // for the race detector
			})
		}
	}
	all.Wait()
	for key, n := range counts {
		if *n != 100 {
			t.Errorf("%s: %d", key, *n)
		}
	}
	if len(k.held) != 0 {
		t.Errorf("%d mutexes are left", len(k.held))
	}
}
