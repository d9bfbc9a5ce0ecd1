package running

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/rootless-containers/subuidless/internal/image/storedir"
)

// The log has the format of CRI, which podman calls k8s-file: in each line the time, stdout or
// stderr, F for a complete line of output or P for a part of one, and the text.

// logPath returns the path of the log of a container.
func logPath(c *storedir.Container) string { return filepath.Join(c.Dir, "log") }

// rotatedPath returns the path of the part of a log that was the current one n rotations ago.
func rotatedPath(name string, n int) string {
	if n == 0 {
		return name
	}
	return name + "." + strconv.Itoa(n)
}

const (
	logFull    = "F"
	logPartial = "P"
	logChunk   = 16 << 10 // bytes of output that are read at once
)

// logWriter writes the log of one container.
type logWriter struct {
	mu    sync.Mutex // protects what follows
	f     *os.File
	name  string // of the current file
	size  int64  // of what is complete
	limit int64  // size at which the log is rotated; 0: never
	files int    // how many files are kept then
	lost  int64  // bytes of output that could not be written
	first []byte // the beginning of stderr
	err   error  // why
}

// openLog opens the log name, which is rotated as the settings say.
func openLog(name string, s *storedir.Settings) (*logWriter, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil && size > 0 {
		// A monitor that was killed may have left a part of a line.
		size, err = endOfLines(f, size)
	}
	return &logWriter{f: f, name: name, size: size, limit: s.LogSize, files: max(s.LogFiles, 1)}, err
}

// endOfLines returns the end of the last complete line of a file of this size.
func endOfLines(f io.ReaderAt, size int64) (int64, error) {
	b := make([]byte, min(size, 4*logChunk))
	if _, err := f.ReadAt(b, size-int64(len(b))); err != nil {
		return 0, err
	}
	return size - int64(len(b)) + int64(bytes.LastIndexByte(b, '\n')+1), nil
}

// copy writes what it reads from r, until its end, as the output called stream.
func (l *logWriter) copy(stream string, r io.Reader) {
	buf := make([]byte, logChunk)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			l.write(stream, buf[:n], time.Now())
		}
		if err != nil {
			return
		}
	}
}

// write writes output. A full disk must not stop the container: what has no room is lost, and as
// soon as there is room again, a line says so.
func (l *logWriter) write(stream string, output []byte, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if stream == "stderr" && len(l.first) < logChunk {
		l.first = append(l.first, output...)
	}
	var b []byte
	if l.lost > 0 {
		b = appendLine(b, now, "stderr", logFull, fmt.Appendf(nil, "subuidless: %d bytes of output are missing here: %v", l.lost, l.err))
	}
	for rest := output; len(rest) > 0; {
		line, after, found := bytes.Cut(rest, []byte{'\n'})
		kind := logFull
		if !found {
			kind = logPartial
		}
		b = appendLine(b, now, stream, kind, line)
		rest = after
	}
	if l.limit > 0 && l.size > 0 && l.size+int64(len(b)) > l.limit {
		l.rotate()
	}
	if n, err := l.f.WriteAt(b, l.size); err != nil {
		l.lost, l.err = l.lost+int64(len(output)), err
		if n > 0 {
			_ = l.f.Truncate(l.size) // a part of a line; the next write replaces it
		}
		return
	}
	l.size += int64(len(b))
	l.lost = 0
}

// rotate continues in a new file. If that fails, as on a full disk, the current file goes on, and the
// next write tries again. Readers open the newest file first: see openLogs.
func (l *logWriter) rotate() {
	name := l.name
	f, err := os.OpenFile(name+storedir.NewSuffix, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return
	}
	for n := l.files - 2; n >= 0 && err == nil; n-- {
		if err = os.Rename(rotatedPath(name, n), rotatedPath(name, n+1)); errors.Is(err, os.ErrNotExist) {
			err = nil // there are not so many yet
		}
	}
	if err == nil {
		err = os.Rename(name+storedir.NewSuffix, name)
	}
	if err != nil {
		f.Close()
		return
	}
	l.f.Close()
	l.f, l.size = f, 0
}

func appendLine(b []byte, now time.Time, stream, kind string, text []byte) []byte {
	b = now.AppendFormat(b, time.RFC3339Nano)
	b = append(append(append(append(b, ' '), stream...), ' '), kind...)
	return append(append(append(b, ' '), text...), '\n')
}

func (l *logWriter) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost > 0 {
		fmt.Fprintf(os.Stderr, "%d bytes of output are missing at the end of the log: %v\n", l.lost, l.err)
	}
	if err := l.f.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
