package agent

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/agentproto"
	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/supervisor"
	"github.com/rootless-containers/subuidless/internal/unotify"
)

// Supervise is HandOverAs, or HandOver if user is nil, except that the process does not outlive
// an error: Supervise kills it. An unsupervised container would not be what its image expects.
// And a runtime such as crun keeps a listener of its own until the program begins, so its next
// notified call would wait for ever.
//
// Supervise then returns when no process has the filter any more, or ctx is done.
func (a *Agent) Supervise(ctx context.Context, p *agentproto.Process, user *identity.User) error {
	// HandOver closes the process's listener, with which calls that wait would fail.
	fd, err := unix.FcntlInt(p.Listener.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return errors.Join(os.NewSyscallError("fcntl", err), p.Listener.Close())
	}
	listener := os.NewFile(uintptr(fd), p.Listener.Name())
	if err = a.handOver(ctx, p, user); err != nil {
		killUsers(ctx, fd, p.Pid)
	}
	return errors.Join(err, listener.Close())
}

// killUsers kills the process pid, if it has a filter, and each process that makes a call of the
// listener, until no process has the filter any more or ctx is done.
func killUsers(ctx context.Context, listener, pid int) {
	if unotify.HungUp(listener) {
		return // nobody has the filter, so pid may be another process by now
	}
	if checkFiltered(pid) == nil {
		_ = unix.Kill(pid, unix.SIGKILL) // it may have ended
	}
	supervisor.KillCallers(ctx, listener)
}
