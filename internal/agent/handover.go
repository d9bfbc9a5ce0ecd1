package agent

import (
	"context"
	"errors"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-containers/subuidless/internal/agentproto"
	"github.com/rootless-containers/subuidless/internal/identity"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// HandOver hands the process p of a container over to the container's supervisor, and
// starts the supervisor if p is the container's first process. It is what Serve does with
// each process that it receives; a program that already has the container process state
// and the listener can call it without a socket.
//
// HandOver returns when the supervisor handles p's system calls. While p is still the
// runtime, it waits for the container's program to begin, and handles the runtime's calls
// meanwhile; ctx ends this wait with an error, and has no other effect. The supervisor
// does not depend on the caller, which may then exit.
//
// The listener belongs to HandOver, which closes it in any case: the supervisor has its
// own duplicate. After an error p is not supervised, and as the listener is closed, p's
// notified calls fail with ENOSYS instead of waiting for ever (unless the caller keeps
// another duplicate). The errors name the cause: p.Listener is not a seccomp listener;
// p.Pid is not a process with a filter in the caller's PID namespace; the user in the
// annotations or in the bundle cannot be read; ctx was done, or p ended, before the
// program began; the supervisor could not be started. errors.Is reports
// supervisor.ErrNoKeeper if p was started in a running container (Status "running") that
// has no supervisor in KeeperDir. If p.ContainerID is empty, HandOver sets it to an id
// made from the container's mount namespace.
//
// Goroutines may call HandOver concurrently: calls for one container wait for each other,
// so that a process started in it finds the supervisor. Other programs may use the same
// KeeperDir at the same time if they take care of that order themselves: a container's
// first process must have been handed over before further ones are, and the ids of the
// containers must differ. The caller must run as the user that the container belongs to; it
// may run in the container's user namespace or outside of it.
//
// The supervisor is the calling program itself, executed anew: its main function must call
// supervisor.KeeperMain, supervisor.WorkerMain, supervisor.StandbyMain or supervisor.UndertakerMain(nil)
// if argv[0] is supervisor.KeeperName, supervisor.WorkerName, supervisor.StandbyName or
// supervisor.UndertakerName.
// The caller copies the supervisor's messages to its standard error for as long as it runs.
func (a *Agent) HandOver(ctx context.Context, p *agentproto.Process) error {
	return a.handOver(ctx, p, nil)
}

// HandOverAs is HandOver for a process that a runtime's exec starts as root, and whose program
// gets the identity of user.
func (a *Agent) HandOverAs(ctx context.Context, p *agentproto.Process, user *identity.User) error {
	return a.handOver(ctx, p, user)
}

// handOver is HandOver. Joining is the user of a process that joins a container; nil: the ids
// that the runtime sets.
func (a *Agent) handOver(ctx context.Context, p *agentproto.Process, joining *identity.User) (err error) {
	defer func() { err = errors.Join(err, p.Listener.Close()) }()
	if err := checkListener(p.Listener); err != nil {
		return err
	}
	if p.ContainerID != "" {
		// Lock before anything that takes time, so that a process started by the
		// runtime's exec waits until the container is supervised.
		defer a.containers.lock(p.ContainerID)()
	}
	if p.Status == specs.StateRunning {
		return a.join(p, joining)
	}
	if err := checkFiltered(p.Pid); err != nil {
		return err
	}
	user, err := processUser(p)
	if err != nil {
		return err
	}
	running, err := awaitProgram(ctx, p.Listener, p.Pid, user)
	if err != nil {
		return err
	}
	first := supervisor.Process{Listener: p.Listener, Pid: p.Pid, User: user, Running: running}
	if p.ContainerID != "" {
		return a.start(p.ContainerID, first)
	}
	// The runtime says neither the id nor whether this is the first process.
	if p.ContainerID, err = mountNamespaceID(p.Pid); err != nil {
		return err
	}
	defer a.containers.lock(p.ContainerID)()
	err = a.join(p, nil)
	if errors.Is(err, supervisor.ErrNoKeeper) {
		err = a.start(p.ContainerID, first)
	}
	return err
}

// start starts the supervisor of the container id with its first process.
func (a *Agent) start(id string, first supervisor.Process) error {
	if err := supervisor.Start(a.config(id), first); err != nil {
		return err
	}
	a.Log.Info("supervising container", "id", id, "pid", first.Pid)
	return nil
}

// join hands a process that was started in a running container over to the container's
// supervisor. User is that of handOver.
func (a *Agent) join(p *agentproto.Process, user *identity.User) error {
	pid := p.Pid
	if pid > 0 {
		ok, err := inspectable(pid)
		if err != nil {
			return err
		}
		if !ok {
			pid = 0 // the supervisor then assumes the container's namespaces
		}
	}
	if err := supervisor.Join(a.config(p.ContainerID), supervisor.Process{Listener: p.Listener, Pid: pid, User: user}); err != nil {
		return err
	}
	a.Log.Info("supervising another process of container", "id", p.ContainerID, "pid", p.Pid)
	return nil
}

// Watch makes this process the witness of the containers in KeeperDir that an agent has handed over
// which has exited: if their keeper and worker die together, it starts others. Watch returns at
// once. The error is that of reading KeeperDir.
func (a *Agent) Watch() error {
	return supervisor.Watch(a.KeeperDir, func(cfg supervisor.Config) {
		a.Log.Info("watching container", "id", cfg.ID)
	})
}

func (a *Agent) config(id string) supervisor.Config {
	return supervisor.Config{ID: id, Standby: true, SocketDir: a.KeeperDir, Trace: a.Trace, Sidecar: a.Sidecar, NoPermissions: a.NoPermissions}
}
