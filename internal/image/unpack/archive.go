package unpack

import (
	"bufio"
	"bytes"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// The first bytes of compressed files: RFC 1952, RFC 8878.
var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// maxWindow is the largest window of zstd that is accepted, in bytes: the one of zstd --long.
const maxWindow = 128 << 20

// openArchive returns the uncompressed content of r, as sum sees it. It decompresses ahead, in
// a goroutine.
func openArchive(r io.Reader, sum hash.Hash) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(r, 256<<10)
	magic, err := b.Peek(len(zstdMagic))
	if err != nil && err != io.EOF {
		return nil, err
	}
	var plain io.Reader
	switch {
	case bytes.HasPrefix(magic, gzipMagic):
		if plain, err = gzip.NewReader(b); err != nil {
			return nil, fmt.Errorf("the layer is not a valid gzip file: %w", err)
		}
	case bytes.HasPrefix(magic, zstdMagic):
		z, err := zstd.NewReader(b, zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("the layer is not a valid zstd file: %w", err)
		}
		plain = z.IOReadCloser()
	default:
		plain = b
	}
	return readAhead(plain, sum), nil
}

// ahead is a reader whose source is read in a goroutine.
type ahead struct {
	full  chan []byte // filled buffers
	empty chan []byte
	quit  chan struct{}
	now   []byte // the buffer that is being read
	rest  []byte // what is left of it
	err   error  // of the source; valid once full is closed
}

const (
	aheadBuffers = 8
	aheadSize    = 256 << 10
)

func readAhead(r io.Reader, sum hash.Hash) *ahead {
	a := &ahead{full: make(chan []byte, aheadBuffers), empty: make(chan []byte, aheadBuffers), quit: make(chan struct{})}
	for range aheadBuffers {
		a.empty <- make([]byte, aheadSize)
	}
	go a.fill(r, sum)
	return a
}

func (a *ahead) fill(r io.Reader, sum hash.Hash) {
	defer close(a.full)
	for {
		select {
		case <-a.quit:
			return
		case buf := <-a.empty:
			n, err := readFull(r, buf[:aheadSize])
			sum.Write(buf[:n])
			if n > 0 {
				a.full <- buf[:n]
			}
			if err != nil {
				a.err = err
				return
			}
		}
	}
}

// readFull is io.ReadFull, except that its error is always that of r.
func readFull(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var more int
		more, err = r.Read(b[n:])
		n += more
	}
	return n, err
}

// Read implements io.Reader.
func (a *ahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.now != nil {
			a.empty <- a.now
			a.now = nil
		}
		buf, ok := <-a.full
		if !ok {
			return 0, a.err
		}
		a.now, a.rest = buf, buf
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// Close ends the goroutine.
func (a *ahead) Close() error {
	close(a.quit)
	return nil
}

// progress reports how much of r has been read.
type progress struct {
	r      io.Reader
	report func(event) error
	unsent int64
}

const progressStep = 1 << 20

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if p.unsent += int64(n); p.unsent >= progressStep || err != nil && p.unsent > 0 {
		if e := p.report(event{Read: p.unsent}); e != nil {
			return n, e // the parent is gone
		}
		p.unsent = 0
	}
	return n, err
}
