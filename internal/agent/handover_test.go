package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/agentproto"
	"github.com/rootless-containers/subuidless/internal/supervisor"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// No test runs on the first thread of the process, which stays when a goroutine that is locked to
// it ends: the process would keep the filter, and the agent would take it for a container's.
func init() { runtime.LockOSThread() }

// filteredThread starts a thread whose getppid is notified, and returns the listener. The
// thread makes the call once, and the channel receives the result.
func filteredThread(t *testing.T) (*os.File, <-chan unotify.Outcome) {
	t.Helper()
	fd, outcome, err := unotify.NotifyingThread(unix.SYS_GETPPID)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), "seccomp listener"), outcome
}

// A process that cannot be handed over is an error that says why, and its calls do not wait
// for ever: they fail with ENOSYS, because the listener is closed.
func TestHandOverErrors(t *testing.T) {
	for _, tt := range []struct {
		name    string
		process agentproto.Process
		want    string
		is      error
	}{
		{"no such process", agentproto.Process{ContainerID: "a", Pid: 1 << 30, Status: specs.StateCreating}, "there is no process 1073741824", nil},
		{"no such process, no id", agentproto.Process{Pid: 1 << 30}, "same PID namespace", nil},
		{"exec without a supervisor", agentproto.Process{ContainerID: "a", Status: specs.StateRunning}, "", supervisor.ErrNoKeeper},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			a := &Agent{Log: slog.New(slog.NewTextHandler(&log, nil)), KeeperDir: t.TempDir()}
			listener, result := filteredThread(t)
			tt.process.Listener = listener
			err := a.HandOver(context.Background(), &tt.process)
			if err == nil || !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("got error %v, want %q, %v", err, tt.want, tt.is)
			}
			if e := (<-result).Errno; e != unix.ENOSYS {
				t.Errorf("the process's call returned %v, want ENOSYS", e)
			}
			if err := listener.Close(); !errors.Is(err, os.ErrClosed) {
				t.Errorf("the listener was not closed: %v", err)
			}
			if log.Len() > 0 {
				t.Errorf("logged besides the error: %s", log.String())
			}
			if len(a.containers.held) != 0 {
				t.Error("the container's mutex is left locked")
			}
		})
	}
}

// Without a directory for keepers, further processes cannot be handed over.
func TestHandOverWithoutKeeperDir(t *testing.T) {
	listener, result := filteredThread(t)
	a := &Agent{Log: slog.New(slog.DiscardHandler)}
	err := a.HandOver(context.Background(), &agentproto.Process{ContainerID: "a", Status: specs.StateRunning, Listener: listener})
	if !errors.Is(err, supervisor.ErrNoKeeper) {
		t.Errorf("got error %v, want ErrNoKeeper", err)
	}
	<-result
}

// HandOver checks the listener first, and closes what it was given.
func TestHandOverNotAListener(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	a := &Agent{Log: slog.New(slog.DiscardHandler), KeeperDir: t.TempDir()}
	err = a.HandOver(context.Background(), &agentproto.Process{ContainerID: "a", Pid: os.Getpid(), Status: specs.StateCreating, Listener: null})
	if want := fmt.Sprintf("is %s, not a seccomp listener", os.DevNull); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want %q", err, want)
	}
	if err := null.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the descriptor was not closed: %v", err)
	}
}
