package test

import (
	"bufio"
	"context"
	"flag"
	"io"
	"os/exec"
	"testing"
	"time"
)

// patience is how long a test waits for something that takes an instant on an idle
// machine.
const patience = time.Minute

// grace is the time between the deadline and go test's limit. In it a test can still
// report its failure, and the work directory is cleaned up.
const grace = 20 * time.Second

// deadline is when the commands of the tests are killed, or zero for never. TestMain
// sets it.
//
// Unlike testing.T.Deadline, it also applies to the stages before the tests.
var deadline time.Time

// setDeadline sets the deadline according to the flag -test.timeout.
func setDeadline() {
	start := time.Now()
	flag.Parse()
	if limit := flag.Lookup("test.timeout").Value.(flag.Getter).Get().(time.Duration); limit > 0 {
		deadline = start.Add(limit - grace)
	}
}

// limited returns a context that expires at the deadline.
func limited(parent context.Context) (context.Context, context.CancelFunc) {
	if deadline.IsZero() {
		return context.WithCancel(parent)
	}
	return context.WithDeadline(parent, deadline)
}

// command returns a command that is killed at the end of the test or at the deadline.
func command(t *testing.T, argv ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := limited(t.Context())
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = patience // for processes that inherit its output
	return cmd
}

// startWithPipes starts the command, and returns pipes to its standard input and from its
// standard output.
func startWithPipes(t *testing.T, cmd *exec.Cmd) (io.WriteCloser, *bufio.Reader) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return in, bufio.NewReader(out)
}
