package build

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// startAgents starts an agent for each of the lists of keys, by their ids, and adds their sockets to
// Agents. The caller calls stop in the end.
func (b *builder) startAgents() (stop func() error, err error) {
	var stops []func() error
	stop = func() error {
		var errs []error
		for _, f := range stops {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	for id, files := range b.Keys {
		socket, f, err := startAgent(files, memoryDir(b.tmp))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("--ssh %s: %w", id, err), stop())
		}
		stops = append(stops, f)
		b.Agents[id] = socket
	}
	return stop, nil
}

// startAgent serves an agent with the keys in files on a socket in a new directory below parent.
func startAgent(files []string, parent string) (socket string, stop func() error, err error) {
	keyring := agent.NewKeyring()
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			return "", nil, err
		}
		key, err := ssh.ParseRawPrivateKey(content)
		if missing := new(ssh.PassphraseMissingError); errors.As(err, &missing) {
			return "", nil, fmt.Errorf("the key %s has a passphrase: add it to ssh-agent with ssh-add, and give the agent", name)
		}
		if err != nil {
			return "", nil, fmt.Errorf("%s is neither a socket nor a private key: %w", name, err)
		}
		if err := keyring.Add(agent.AddedKey{PrivateKey: key, Comment: filepath.Base(name)}); err != nil {
			return "", nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	dir, err := os.MkdirTemp(parent, "subuidless-agent-")
	if err != nil {
		return "", nil, err
	}
	socket = filepath.Join(dir, "agent")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return // it has been closed
			}
			go func() {
				defer c.Close()
				_ = agent.ServeAgent(usedOnly{keyring}, c) // the error is that of the client
			}()
		}
	}()
	return socket, func() error { return errors.Join(listener.Close(), os.RemoveAll(dir)) }, nil
}

// usedOnly is an agent whose keys RUN can use, and not change: as in BuildKit.
type usedOnly struct{ agent.Agent }

var errUsedOnly = errors.New("the keys of this agent cannot be changed")

// Add implements agent.Agent.
func (usedOnly) Add(agent.AddedKey) error { return errUsedOnly }

// Remove implements agent.Agent.
func (usedOnly) Remove(ssh.PublicKey) error { return errUsedOnly }

// RemoveAll implements agent.Agent.
func (usedOnly) RemoveAll() error { return errUsedOnly }

// Lock implements agent.Agent.
func (usedOnly) Lock([]byte) error { return errUsedOnly }

// Unlock implements agent.Agent.
func (usedOnly) Unlock([]byte) error { return errUsedOnly }
