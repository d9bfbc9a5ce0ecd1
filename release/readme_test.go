package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/test/pages"
)

// readme is what README.md tells users to type.
type readme struct {
	install, use string // scripts: the commands that need sudo and those that do not
	printed      string // what the commands of the transcript print
}

// readReadme reads the commands of README.md.
func readReadme() (r readme, err error) {
	blocks, err := readBlocks("README.md")
	if err != nil {
		return r, err
	}
	var install, transcript, use strings.Builder
	for _, b := range blocks {
		if b.IsTranscript() {
			commands, printed := b.Transcript()
			for _, command := range commands {
				fmt.Fprintf(&transcript, "( %s ) || :\n", command)
			}
			r.printed += printed
			continue
		}
		for _, command := range b.Lines {
			if strings.HasPrefix(command, "sudo ") {
				install.WriteString(command + "\n")
				continue
			}
			command, _, _ = strings.Cut(command, "   #")
			command = strings.ReplaceAll(strings.TrimSpace(command), "IMAGE", "docker.io/library/nginx")
			use.WriteString(pages.Scripted(command) + "\n")
		}
	}
	r.install = install.String()
	r.use = "{\n" + transcript.String() + "} >printed 2>&1\nset -x\n" + use.String()
	if strings.Count(r.use, "\n") < 20 || r.printed == "" || r.install == "" {
		return r, fmt.Errorf("README.md has only these commands:\n%s\n%s", r.install, r.use)
	}
	return r, nil
}

// readBlocks returns the blocks of a page that are run.
func readBlocks(page string) ([]pages.Block, error) {
	text, err := os.ReadFile(page)
	if err != nil {
		return nil, err
	}
	blocks, err := pages.Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", page, err)
	}
	return slices.DeleteFunc(blocks, func(b pages.Block) bool { return b.NotRun != "" }), nil
}

// patience ends commands that hang. They take a minute, and longer while the machine does other
// things, too.
const patience = 20 * time.Minute

// debians are the root file systems of test/prepare in which the package is tried.
var debians = []string{"engines12", "engines13"}

// testDebian upgrades, uses and removes a package, by the commands of README.md, on Debian.
func testDebian(t *testing.T, deb, rootfs string) {
	cache := os.Getenv("SUBUIDLESS_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			t.Skip(err)
		}
		cache = filepath.Join(dir, "subuidless-test")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	rootfs = filepath.Join(cache, rootfs)
	if _, err := os.Stat(filepath.Join(rootfs, "usr/bin/dpkg-buildpackage")); err != nil {
		t.Skip(err, "; test/prepare makes it")
	}
	page, err := readReadme()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	in := filepath.Join(dir, "in")
	if err := os.CopyFS(in, os.DirFS("release/testdata/in")); err != nil {
		t.Fatal(err)
	}
	command(t, "cp", deb, "release/testdata/debian.sh", in)
	scripts := map[string]string{"install": page.install, "use": page.use}
	for _, name := range pages.OfRelease[1:] {
		blocks, err := readBlocks(name)
		if err != nil {
			t.Fatal(err)
		}
		var script strings.Builder
		for _, b := range blocks {
			script.WriteString(strings.Join(b.Lines, "\n") + "\n")
		}
		scripts[strings.TrimSuffix(filepath.Base(name), ".md")] = script.String()
	}
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(in, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	layer := smallRootfs(t, filepath.Join(in, "project", "rootfs.tar"))
	// The thread gets a network namespace of its own, for ports that others may use, and ends.
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- func() error {
			conf, err := serveImages(layer)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(in, "registries.conf"), []byte(conf), 0o644); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			out, err := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "release/testdata/enter.sh", rootfs, dir).CombinedOutput()
			if err == nil && !strings.HasSuffix(string(out), "\nnothing is left\n") {
				err = errors.New("it did not come to the end")
			}
			if err != nil {
				err = fmt.Errorf("%w\n%s", err, out)
			}
			return err
		}()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	printed, err := os.ReadFile(filepath.Join(dir, "home/user/project/printed"))
	if err != nil {
		t.Fatal(err)
	}
	if got := pages.Undated(string(printed)); got != page.printed {
		t.Errorf("README.md shows\n%s\nbut the commands print\n%s", page.printed, got)
	}
}

// smallRootfs makes an archive of a root file system of busybox, and returns it.
func smallRootfs(t *testing.T, archive string) []byte {
	root := t.TempDir()
	command(t, "sh", "-euc", `cd "$1"
mkdir -p bin dev etc proc root srv sys tmp
cp "$(command -v busybox)" bin
for applet in $(busybox --list); do test "$applet" = busybox || ln -s busybox "bin/$applet"; done
printf '#!/bin/sh\nexec sh "$@"\n' >bin/bash
chmod 755 bin/bash
echo root:x:0:0::/root:/bin/sh >etc/passwd
echo www-data:x:33:33::/:/bin/sh >>etc/passwd
printf 'root:x:0:\nwww-data:x:33:\n' >etc/group
tar -cf "$2" --owner 0 --group 0 .`, "sh", root, archive)
	text, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// push pushes an image to a registry on host, as repository:latest and repository:12. Layer is its
// only layer, an archive, and command what its containers run.
func push(handler http.Handler, host, repository string, layer []byte, command ...string) error {
	image, err := mutate.AppendLayers(empty.Image, static.NewLayer(layer, types.DockerUncompressedLayer))
	if err != nil {
		return err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{Cmd: command, Env: []string{"PATH=/bin"}}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return err
	}
	for _, tag := range []string{"12", "latest"} {
		ref, err := name.ParseReference(host+"/"+repository+":"+tag, name.Insecure)
		if err != nil {
			return err
		}
		if err := remote.Write(ref, image, remote.WithTransport(within{handler})); err != nil {
			return err
		}
	}
	return nil
}

// serveImages moves the calling thread to a new network namespace, and starts a registry there with
// the images of README.md, which have one layer. It returns a registries.conf(5) that leads to it.
func serveImages(layer []byte) (conf string, err error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return "", os.NewSyscallError("unshare", err)
	}
	if err := exec.Command("ip", "link", "set", "lo", "up").Run(); err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	go func() { _ = http.Serve(l, handler) }()
	for repository, command := range map[string][]string{"debian": {"bash"}, "nginx": {"sleep", "1000"}} {
		if err := push(handler, l.Addr().String(), repository, layer, command...); err != nil {
			return "", err
		}
		conf += fmt.Sprintf("[[registry]]\nprefix = \"docker.io/library/%s\"\nlocation = \"%s/%[1]s\"\ninsecure = true\n", repository, l.Addr())
	}
	return conf, nil
}

// within is an http.RoundTripper to a handler of this process: other threads cannot connect to its
// network namespace.
type within struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (w within) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	recorder := httptest.NewRecorder()
	w.ServeHTTP(recorder, r)
	response := recorder.Result()
	response.Request = r
	return response, nil
}
