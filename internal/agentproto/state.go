package agentproto

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// maxState is the maximum size of a runtime's message in bytes. The specification sets no
// limit, and engines put whole Kubernetes objects into the annotations.
const maxState = 64 << 20

// Process is a process of a container that a runtime hands over to the agent.
type Process struct {
	// ContainerID is the id that the runtime gave to the container. It is empty with
	// crun 0.15 to 0.18, which do not send it.
	ContainerID string
	// Pid is the id of the process that has the filter, in the runtime's PID namespace.
	// It may be 0 if Status is "running": crun's exec does not know it.
	Pid int
	// Status is "creating" for the container's first process, and "running" for a
	// process that the runtime's exec starts in it. It is empty if ContainerID is.
	Status specs.ContainerState
	// Bundle is the container's bundle directory; empty if the runtime does not send it.
	Bundle string
	// Annotations are those of the container's config.json.
	Annotations map[string]string
	// Listener is the listener of the process's seccomp filter. Whoever receives the
	// Process owns it.
	Listener *os.File
}

// Receive reads the one message that a runtime sends on conn: the container process state
// of the runtime specification (config-linux.md, "The Container Process State"), or the
// single byte of crun 0.15 to 0.18. SO_PASSCRED should be set on the listening socket,
// because the single byte identifies the process only by the credentials of its sender.
//
// Receive returns when the message is complete, and does not wait for the end of the
// connection: crun 0.15 to 0.18 keep it open while the container runs. To limit how long it
// waits, set a read deadline on conn. After an error, all received descriptors are closed.
func Receive(conn *net.UnixConn) (*Process, error) {
	r := &reader{conn: conn}
	defer r.closeUnclaimed()

	first := make([]byte, 4096)
	n, err := r.Read(first)
	if err == io.EOF {
		return nil, errors.New("the connection was closed before a message arrived: the container has been deleted before its start, or the peer is not an OCI runtime, or failed")
	}
	if err != nil {
		return nil, err
	}
	if n == 1 && first[0] == ' ' && len(r.fds) > 0 {
		return legacyProcess(r)
	}
	return stateProcess(r, first[:n])
}

// legacyProcess returns the process that crun 0.15 to 0.18 sends: a space with the listener.
// The sender is the process that has the filter.
func legacyProcess(r *reader) (*Process, error) {
	if r.sender <= 0 {
		return nil, errors.New("received a listener without the sender's process id (crun 0.15 to 0.18 sends no state): the process must be in the agent's PID namespace or a child of it")
	}
	return &Process{Pid: r.sender, Listener: r.claim(0)}, nil
}

// stateProcess returns the process that a runtime sends as the specification says. Start is
// the part of the state that has already been read.
func stateProcess(r *reader, start []byte) (*Process, error) {
	body := &io.LimitedReader{R: io.MultiReader(strings.NewReader(string(start)), r), N: maxState}
	var state specs.ContainerProcessState
	if err := json.NewDecoder(body).Decode(&state); err != nil {
		switch {
		case body.N <= 0:
			return nil, fmt.Errorf("the container process state is larger than %d MiB", maxState>>20)
		case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
			return nil, errors.New("the container process state is truncated: the runtime was killed, or is not an OCI runtime")
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, fmt.Errorf("the container process state is incomplete: %w", err)
		}
		return nil, fmt.Errorf("reading the container process state of the OCI seccomp agent protocol: %w", err)
	}
	if state.Pid <= 0 && state.State.Status != specs.StateRunning {
		return nil, fmt.Errorf("the container process state has pid %d: the runtime must send the id of the process that has the filter", state.Pid)
	}
	if state.State.ID == "" {
		return nil, errors.New("the container process state has no container id")
	}
	if strings.ContainsAny(state.State.ID, "/\x00") {
		return nil, fmt.Errorf("the container process state has an invalid container id %q", state.State.ID)
	}
	i := slices.Index(state.Fds, specs.SeccompFdName)
	if i < 0 {
		return nil, fmt.Errorf("the container process state lists no descriptor %q in its fds %q", specs.SeccompFdName, state.Fds)
	}
	if i >= len(r.fds) {
		return nil, fmt.Errorf("the container process state lists %d descriptors, but only %d were received", len(state.Fds), len(r.fds))
	}
	return &Process{
		ContainerID: state.State.ID,
		Pid:         state.Pid,
		Status:      state.State.Status,
		Bundle:      state.State.Bundle,
		Annotations: state.State.Annotations,
		Listener:    r.claim(i),
	}, nil
}
