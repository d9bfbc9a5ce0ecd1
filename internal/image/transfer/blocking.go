package transfer

import (
	"context"
	"io"
	"os"
)

// maxBlocking is the largest number of bytes that a blocking reads or writes at once.
const maxBlocking = 64 << 10

// blocking reads or writes a file that may block, such as a pipe. It fails when ctx ends; a system
// call that blocks goes on in the background then, until the process ends.
type blocking struct {
	ctx  context.Context //nolint:containedctx // of one file
	call func([]byte) (int, error)
	own  []byte // what call reads or writes, also when the caller has its bytes back
	done chan result
}

type result struct {
	n   int
	err error
}

func newBlocking(ctx context.Context, call func([]byte) (int, error)) *blocking {
	return &blocking{ctx, call, make([]byte, maxBlocking), make(chan result, 1)}
}

// wait calls b.call with the first n bytes of b.own.
func (b *blocking) wait(n int) (int, error) {
	go func() {
		n, err := b.call(b.own[:n])
		b.done <- result{n, err}
	}()
	select {
	case r := <-b.done:
		return r.n, r.err
	case <-b.ctx.Done():
		return 0, context.Cause(b.ctx)
	}
}

func (b *blocking) Read(p []byte) (int, error) {
	if err := context.Cause(b.ctx); err != nil {
		return 0, err // own may be in use
	}
	n, err := b.wait(min(len(p), maxBlocking))
	return copy(p, b.own[:n]), err
}

func (b *blocking) Write(p []byte) (written int, err error) {
	for err == nil && written < len(p) {
		if err := context.Cause(b.ctx); err != nil {
			return written, err // own may be in use
		}
		var n int
		n, err = b.wait(copy(b.own, p[written:]))
		written += n
	}
	return written, err
}

// Stdin returns the standard input. Reading fails when ctx ends.
func Stdin(ctx context.Context) io.Reader { return newBlocking(ctx, os.Stdin.Read) }
