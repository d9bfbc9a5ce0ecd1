package main

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// doc is the directory with man pages and completions.
func (b *build) doc() string { return filepath.Join(b.work, "doc") }

// completions are the files of shell completions, with the shells' names.
var completions = map[string]string{"subuidless": "bash", "_subuidless": "zsh", "subuidless.fish": "fish"}

// documents writes the man pages and the completions.
func (b *build) documents() error {
	man := filepath.Join(b.doc(), "man")
	if err := os.MkdirAll(man, 0o755); err != nil {
		return err
	}
	// The tests are of this machine's architecture.
	if err := b.run(nil, "go", "test", "-count=1", "-run", "^TestManPages$", "./cmd/subuidless", "./cmd/subuidless-image", "-man", man); err != nil {
		return err
	}
	for file, shell := range completions {
		text, err := exec.Command(b.programPath(runtime.GOARCH), "completion", shell).Output()
		if err == nil {
			err = os.WriteFile(filepath.Join(b.doc(), file), text, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// treePath is the directory with the files for an architecture, as they are in /usr.
func (b *build) treePath(arch string) string { return filepath.Join(b.work, "tree-"+arch) }

// tree makes that directory.
func (b *build) tree(arch string) error {
	tree := b.treePath(arch)
	write := func(name string, text []byte, mode os.FileMode) error {
		path := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, text, mode)
	}
	copies := map[string]string{
		"bin/subuidless": b.programPath(arch),
		"share/bash-completion/completions/subuidless":    filepath.Join(b.doc(), "subuidless"),
		"share/fish/vendor_completions.d/subuidless.fish": filepath.Join(b.doc(), "subuidless.fish"),
		"share/subuidless/subuidless.apparmor":            "release/files/subuidless.apparmor",
		"share/doc/subuidless/copyright":                  "LICENSE",
		"share/doc/subuidless/README.md":                  "README.md",
		"share/doc/subuidless/CHANGELOG.md":               "CHANGELOG.md",
		"lib/systemd/user/subuidless.socket":              "release/files/subuidless.socket",
		"lib/systemd/user/subuidless.service":             "release/files/subuidless.service",
	}
	for name, source := range copies {
		text, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if strings.HasPrefix(name, "bin/") {
			mode = 0o755
		}
		if err := write(name, bytes.ReplaceAll(text, []byte("@BINDIR@"), []byte("/usr/bin")), mode); err != nil {
			return err
		}
	}
	for _, link := range []string{"subuidless-runtime", "fakeroot-subuidless", "proot-subuidless"} {
		if err := os.Symlink("subuidless", filepath.Join(tree, "bin", link)); err != nil {
			return err
		}
	}
	pages, err := filepath.Glob(filepath.Join(b.doc(), "man", "*.1"))
	if err != nil {
		return err
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			return err
		}
		if err := write("share/man/man1/"+filepath.Base(page)+".gz", compress(text), 0o644); err != nil {
			return err
		}
	}
	for link, page := range map[string]string{"fakeroot-subuidless": "subuidless-fakeroot", "proot-subuidless": "subuidless-proot"} {
		if err := os.Symlink(page+".1.gz", filepath.Join(tree, "share/man/man1", link+".1.gz")); err != nil {
			return err
		}
	}
	modules, err := modulesOf(b.programPath(arch))
	if err != nil {
		return err
	}
	licences, err := licences(modules)
	if err != nil {
		return err
	}
	sbom, err := b.sbom(arch, modules)
	if err != nil {
		return err
	}
	if err := write("share/doc/subuidless/third-party-licenses.gz", compress(licences), 0o644); err != nil {
		return err
	}
	if err := write("share/doc/subuidless/sbom.cdx.json", sbom, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.out, b.name(arch)+".cdx.json"), sbom, 0o644); err != nil {
		return err
	}
	return b.normalize(tree)
}

// compress returns what gzip -9n writes.
func compress(text []byte) []byte {
	var buf bytes.Buffer
	w, _ := gzip.NewWriterLevel(&buf, gzip.BestCompression) // a valid level
	_, _ = w.Write(text)                                    // a bytes.Buffer accepts all
	_ = w.Close()
	return buf.Bytes()
}

// normalize gives everything in a tree the time of the release, and modes that do not depend on the
// umask.
func (b *build) normalize(tree string) error {
	return filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type() == fs.ModeSymlink {
			return err
		}
		mode := os.FileMode(0o644)
		if info, err := d.Info(); err != nil {
			return err
		} else if d.IsDir() || info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		if err := os.Chmod(path, mode); err != nil {
			return err
		}
		return os.Chtimes(path, b.time, b.time)
	})
}
