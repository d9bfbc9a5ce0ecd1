// Package agentproto receives what OCI runtimes send to a seccomp agent: the container
// process state of the runtime specification, with the listener of a process.
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

// maxState bounds the message of a runtime. The specification names no size;
// engines put whole Kubernetes objects into the annotations.
const maxState = 64 << 20

// Process is a process of a container that a runtime hands over.
type Process struct {
	// ContainerID is empty with crun 0.15 to 0.18, which do not tell it.
	ContainerID string
	// Pid is the process that has the filter, as the runtime sees it. It may
	// be 0 for a running container: crun's exec does not know it.
	Pid int
	// Status is "creating" for the container's init and "running" for a
	// process started by exec. It is empty if ContainerID is.
	Status specs.ContainerState
	// Bundle is the container's bundle directory, if the runtime tells it.
	Bundle string
	// Annotations are the container's.
	Annotations map[string]string
	// Listener is the listener of the process's seccomp filter. The receiver
	// owns it.
	Listener *os.File
}

// Receive reads the one message that a runtime sends on a connection: the
// container process state of the runtime specification, or the single byte of
// crun 0.15 to 0.18. SO_PASSCRED should be set on the listening socket, because
// the latter names the process only by the credentials of the message.
//
// It returns when the message is complete, without waiting for the end of the
// connection: crun 0.15 to 0.18 hold it open while the container runs.
func Receive(conn *net.UnixConn) (*Process, error) {
	r := &reader{conn: conn}
	defer r.closeUnclaimed()

	first := make([]byte, 4096)
	n, err := r.Read(first)
	if err == io.EOF {
		return nil, errors.New("the connection was closed before a message arrived: not an OCI runtime, or one that failed")
	}
	if err != nil {
		return nil, err
	}
	if n == 1 && first[0] == ' ' && len(r.fds) > 0 {
		return receiverProcess(r)
	}
	return stateProcess(r, first[:n])
}

// receiverProcess is the protocol of crun 0.15 to 0.18: a space, and the
// listener with it. The sender is the process with the filter itself.
func receiverProcess(r *reader) (*Process, error) {
	if r.sender <= 0 {
		return nil, errors.New("a listener came without the sender's process id (crun 0.15 to 0.18 sends no state): its process must be in the agent's PID namespace or below it")
	}
	return &Process{Pid: r.sender, Listener: r.claim(0)}, nil
}

// stateProcess is the protocol of the runtime specification. Start is the
// part of the state that has been read already.
func stateProcess(r *reader, start []byte) (*Process, error) {
	body := &io.LimitedReader{R: io.MultiReader(strings.NewReader(string(start)), r), N: maxState}
	var state specs.ContainerProcessState
	if err := json.NewDecoder(body).Decode(&state); err != nil {
		switch {
		case body.N <= 0:
			return nil, fmt.Errorf("the container process state is larger than %d MiB", maxState>>20)
		case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
			return nil, errors.New("the container process state ends in its middle: the runtime was killed, or is not an OCI runtime")
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, fmt.Errorf("the container process state is incomplete: %w", err)
		}
		return nil, fmt.Errorf("reading the container process state of the OCI seccomp agent protocol: %w", err)
	}
	if state.Pid <= 0 && state.State.Status != specs.StateRunning {
		return nil, fmt.Errorf("the container process state has pid %d; it must name the process with the filter", state.Pid)
	}
	if state.State.ID == "" {
		return nil, errors.New("the container process state has no container id")
	}
	if strings.ContainsAny(state.State.ID, "/\x00") {
		return nil, fmt.Errorf("the container process state has an invalid container id %q", state.State.ID)
	}
	i := slices.Index(state.Fds, specs.SeccompFdName)
	if i < 0 {
		return nil, fmt.Errorf("the container process state announces no descriptor %q among its fds %q", specs.SeccompFdName, state.Fds)
	}
	if i >= len(r.fds) {
		return nil, fmt.Errorf("the container process state announces %d descriptors, but %d came with it", len(state.Fds), len(r.fds))
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
