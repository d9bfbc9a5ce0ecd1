package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// timeout is how long a program may take. It is longer than the interpreter itself waits
// for an operation that hangs, also on a loaded machine.
const timeout = 2 * time.Minute

// side is an interpreter, of real root or of subuidless.
type side struct {
	name      string
	start     func() *exec.Cmd
	cmd       *exec.Cmd
	in        *os.File // the interpreter reads it
	out       *os.File
	imageSize int64
	errors    strings.Builder
}

// open starts the interpreter.
func (s *side) open() error {
	cmd := s.start()
	theirIn, in, err := os.Pipe()
	if err != nil {
		return err
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		return err
	}
	s.errors.Reset()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirIn, theirOut, &s.errors
	err = cmd.Start()
	err = errors.Join(err, theirIn.Close(), theirOut.Close())
	if err != nil {
		return fmt.Errorf("starting %s: %w", s.name, err)
	}
	s.cmd, s.in, s.out = cmd, in, out
	var size [4]byte
	if err := s.read(size[:]); err != nil {
		return s.fail(err)
	}
	s.imageSize = int64(binary.LittleEndian.Uint32(size[:]))
	return nil
}

func (s *side) read(b []byte) error {
	if err := s.out.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	_, err := io.ReadFull(s.out, b)
	return err
}

// fail ends the interpreter and returns an error with its messages.
func (s *side) fail(err error) error {
	closed := s.close()
	return fmt.Errorf("the interpreter of %s: %w\n%s", s.name, errors.Join(err, closed), s.errors.String())
}

// run executes a program. After an error, the side is closed.
func (s *side) run(p program, w wire) (outcome, error) {
	if _, err := s.in.Write(w.bytes); err != nil {
		return outcome{}, s.fail(err)
	}
	var sizes [8]byte
	if err := s.read(sizes[:]); err != nil {
		return outcome{}, s.fail(err)
	}
	ran := make([]byte, binary.LittleEndian.Uint32(sizes[:]))
	tree := make([]byte, binary.LittleEndian.Uint32(sizes[4:]))
	if err := errors.Join(s.read(ran), s.read(tree)); err != nil {
		return outcome{}, s.fail(err)
	}
	o, err := decode(p, w, ran, tree)
	if err != nil {
		return outcome{}, s.fail(err)
	}
	return o, nil
}

// close closes the input of the interpreter, which ends it. It kills an interpreter that
// does not end within the timeout.
func (s *side) close() error {
	if s.cmd == nil {
		return nil
	}
	cmd := s.cmd
	s.cmd = nil
	late := time.AfterFunc(timeout, func() { _ = unix.Kill(cmd.Process.Pid, unix.SIGKILL) }) // it may have ended just now
	defer late.Stop()
	err := errors.Join(s.in.Close(), s.out.Close())
	return errors.Join(err, cmd.Wait())
}
