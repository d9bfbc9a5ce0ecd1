package test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// interrupt runs subuidless, sends it SIGINT when reached is closed, and returns its output. It must
// fail soon with one error, and the exit status of docker.
func interrupt(t *testing.T, reached <-chan struct{}, args ...string) string {
	t.Helper()
	return interruptCommand(t, reached, command(t, append([]string{"subuidless"}, args...)...))
}

// interruptCommand is interrupt for a command.
func interruptCommand(t *testing.T, reached <-chan struct{}, cmd *exec.Cmd) string {
	t.Helper()
	var out bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-reached:
	case err := <-ended:
		t.Fatalf("%s has ended too early: %v\n%s", cmd, err, &out)
	}
	if err := cmd.Process.Signal(unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || cmd.ProcessState.ExitCode() != 130 || strings.Count(out.String(), "subuidless:") != 1 || !strings.Contains(out.String(), "subuidless: interrupted; ") {
		t.Errorf("%s, interrupted: %v\n%s", cmd, err, &out)
	}
	return out.String()
}

// when returns a channel that is closed when ok has returned true.
func when(t *testing.T, ok func() bool) <-chan struct{} {
	reached := make(chan struct{})
	go func() {
		for deadlineIn(t) && !ok() {
			time.Sleep(2 * time.Millisecond)
		}
		close(reached)
	}()
	return reached
}

// isInStore reports whether the store has a file of at least this size that fits the pattern.
func isInStore(store, pattern string, size int64) bool {
	found, err := filepath.Glob(filepath.Join(strings.TrimPrefix(store, "--root="), pattern))
	if err != nil {
		panic(err) // a malformed pattern
	}
	for _, name := range found {
		if st, err := os.Stat(name); err == nil && st.Size() >= size {
			return true
		}
	}
	return false
}

// inOrder fails if an interrupted command has left something in the store, or an image besides
// those wanted.
func inOrder(t *testing.T, store string, images int) {
	t.Helper()
	if got := subuidless(t, "images", "-q", store); strings.Count(got, "\n") != images {
		t.Errorf("the images are %q, want %d", got, images)
	}
	for _, pattern := range []string{"tmp/commit-*", "tmp/archive-*", "layers/*.new", "containers/*.new"} {
		if isInStore(store, pattern, 0) {
			t.Errorf("%s is left", pattern)
		}
	}
	subuidless(t, "store", "check", store)
}

// endlessLayer returns a layer with a file of 100 GiB of zeros, of which nobody has computed the digest.
func endlessLayer(t *testing.T) v1.Layer {
	t.Helper()
	const chunk, chunks = 64 << 20, 1600
	var archive, out bytes.Buffer
	if err := tar.NewWriter(&archive).WriteHeader(&tar.Header{Name: "endless", Mode: 0o600, Size: chunk * chunks, Format: tar.FormatGNU}); err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(z.EncodeAll(archive.Bytes(), nil))
	zeros := z.EncodeAll(make([]byte, chunk), nil)
	for range chunks {
		out.Write(zeros)
	}
	return &rawLayer{out.Bytes(), v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("1", 64)}, types.OCILayerZStd}
}

// TestImageInterrupted interrupts each phase of working with an image, which takes long.
func TestImageInterrupted(t *testing.T) {
	reg := startRegistry(t)
	img := imageOf(t, v1.Config{}, busyboxLayer(t))
	image := reg.push(t, "interrupted", img)
	endless, err := mutate.AppendLayers(img, endlessLayer(t))
	if err != nil {
		t.Fatal(err)
	}
	endlessImage := reg.push(t, "endless", endless)
	store := imageStore(t)

	half := compressed(t, img, 0)[:1000]
	var once sync.Once
	var resumed atomic.Bool
	reached := make(chan struct{})
	reg.handle = func(w http.ResponseWriter, r *http.Request) bool {
		if !isBlob(t, r, img, 0) {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(compressed(t, img, 0))))
		w.Write(half)
		w.(http.Flusher).Flush()
		go func() { // it has arrived
			for r.Context().Err() == nil && !isInStore(store, "tmp/*", int64(len(half))) {
				time.Sleep(2 * time.Millisecond)
			}
			once.Do(func() { close(reached) })
		}()
		<-r.Context().Done()
		return true
	}
	interrupt(t, reached, "pull", "-q", store, image)
	inOrder(t, store, 0)

	reg.handle = func(_ http.ResponseWriter, r *http.Request) bool {
		if isBlob(t, r, img, 0) && r.Header.Get("Range") != "" {
			resumed.Store(true)
		}
		return false
	}
	subuidless(t, "pull", "-q", store, image)
	if !resumed.Load() {
		t.Error("what had been fetched was fetched again")
	}
	inOrder(t, store, 1)
	for _, args := range [][]string{{"pull", endlessImage}, {"run", "--name=never", endlessImage, "true"}} {
		unpacking := when(t, func() bool { return isInStore(store, "layers/*.new/endless", 0) })
		interrupt(t, unpacking, append([]string{args[0], "-q", store}, args[1:]...)...)
		inOrder(t, store, 1)
	}
	if got := subuidless(t, "ps", "-aq", store); got != "" {
		t.Errorf("there are containers: %s", got)
	}
	subuidless(t, "run", store, "--name=large", image, "busybox", "dd", "if=/dev/zero", "of=/large", "bs=1", "count=0", "seek=100G")
	interrupt(t, when(t, func() bool { return isInStore(store, "tmp/commit-*/archive", 1) }), "commit", store, "large", "never")
	inOrder(t, store, 1)
	dir := t.TempDir()
	interrupt(t, when(t, func() bool { return isLarge(dir, ".export.*", 1) }), "export", store, "-o", dir+"/export", "large")
	isEmpty(t, dir)
	subuidless(t, "rm", store, "large")
	interruptPipes(t, store, image)
	interruptSquash(t, store, image)

	once, reached = sync.Once{}, make(chan struct{})
	reg.handle = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch && r.Method != http.MethodPut {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		once.Do(func() { close(reached) })
		<-r.Context().Done()
		return true
	}
	pushed := strings.Replace(image, "interrupted", "pushed", 1)
	subuidless(t, "tag", store, image, pushed)
	interrupt(t, reached, "push", "-q", store, pushed)
	reg.handle = nil
	if out := fails(t, "pull", "-q", imageStore(t), pushed); !strings.Contains(out, "not found in its registry") {
		t.Errorf("after a push that was interrupted: %s", out)
	}
	subuidless(t, "push", "-q", store, pushed)
	subuidless(t, "pull", "-q", imageStore(t), pushed)
}

// interruptPipes interrupts load and save, which wait for the other side of a pipe.
func interruptPipes(t *testing.T, store, image string) {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "archive")
	subuidless(t, "save", store, "-o", archive, image)
	content, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	load, save := command(t, "subuidless", "load", "-q", store), command(t, "subuidless", "save", store, image)
	in, err := load.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		_, _ = in.Write(content[:len(content)/2]) // more than fits into the pipe
	}()
	interruptCommand(t, reading, load)
	out, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	writing := make(chan struct{})
	go func() {
		defer close(writing)
		_, _ = out.Read(make([]byte, 1))
	}()
	save.Stdout = write
	interruptCommand(t, writing, save)
	if err := write.Close(); err != nil {
		t.Error(err)
	}
	inOrder(t, store, 1)
}

// interruptSquash interrupts a build while it makes one layer of two, one of which has become so large
// in the store that this takes very long.
func interruptSquash(t *testing.T, store, image string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM "+image+"\nRUN touch -d 2001-01-01 /large\nRUN touch /other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	build := []string{"build", "-q", store, "-o", "type=oci,dest=" + filepath.Join(dir, "out"), dir}
	subuidless(t, build...)
	found, err := filepath.Glob(filepath.Join(strings.TrimPrefix(store, "--root="), "layers/*/large"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the layers have %v (%v)", found, err)
	}
	if err := os.Truncate(found[0], 100<<30); err != nil {
		t.Fatal(err)
	}
	squash := append([]string{build[0], "--squash"}, build[1:]...)
	interrupt(t, when(t, func() bool { return isInStore(store, "tmp/build-*/squash-*/archive", 1) }), squash...)
	if err := os.Truncate(found[0], 0); err != nil {
		t.Fatal(err)
	}
	inOrder(t, store, 1)
	if isInStore(store, "tmp/build-*", 0) {
		t.Error("files of the build are left")
	}
	subuidless(t, squash...)
}

// isLarge reports whether a directory has a file of at least this size that fits the pattern.
func isLarge(dir, pattern string, size int64) bool { return isInStore(dir, pattern, size) }

func isEmpty(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%s has %v (%v)", dir, left, err)
	}
}

// TestImageManyFiles interrupts copies of a root file system with 100,000 files, and works with them.
func TestImageManyFiles(t *testing.T) {
	const dirs, files = 100, 1000
	var entries []entry
	for d := range dirs {
		name := fmt.Sprintf("many/%02d", d)
		entries = append(entries, dir(name))
		for f := range files {
			e := regular(fmt.Sprintf("%s/%03d", name, f), "x")
			e.Uid, e.Gid = f, d
			entries = append(entries, e)
		}
	}
	b := &buildDir{t: t, dir: t.TempDir(), store: imageStore(t)}
	archive := filepath.Join(b.dir, "many.tar")
	tag, err := name.NewTag("many")
	if err == nil {
		err = tarball.WriteToFile(archive, tag, imageOf(t, v1.Config{}, busyboxLayer(t), entries))
	}
	if err != nil {
		t.Fatal(err)
	}
	b.write(map[string]string{"Dockerfile": "FROM many\nRUN true\n"})
	subuidless(t, "load", b.store, "-q", "-i", archive)
	list := []string{"sh", "-c", "ls /many/*/* | wc -l; stat -c %u:%g /many/99/999"}
	if got := subuidless(t, append([]string{"run", "--rm", b.store, "many"}, list...)...); got != "100000\n999:99\n" {
		t.Errorf("the files: %q", got)
	}
	out := t.TempDir()
	for _, tt := range []struct {
		dir, copying string
		args         []string
	}{
		{b.store, "containers/*/rootfs/many/*", []string{"run", b.store, "--storage-driver=copy", "many", "true"}},
		{b.store, "tmp/build-*/run-*/rootfs/many/*", []string{"build", b.store, "-q", "--storage-driver=copy", b.dir}},
		{out, ".local.*/many/*", []string{"build", b.store, "-q", "-o", out + "/local", b.dir}},
	} {
		interrupt(t, when(t, func() bool { return isInStore(tt.dir, tt.copying, 0) }), tt.args...)
		inOrder(t, b.store, 1)
		b.clean()
	}
	isEmpty(t, out)
}
