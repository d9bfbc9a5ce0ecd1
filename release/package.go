package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/template"
	"time"
)

//go:embed nfpm.yaml
var nfpmConfig string

// name is the name of what is for an architecture, without a suffix.
func (b *build) name(arch string) string {
	return fmt.Sprintf("subuidless-%s-linux-%s", b.fullVersion(), arch)
}

// packages makes the packages for an architecture.
func (b *build) packages(arch string) error {
	t, err := template.New("nfpm.yaml").Parse(nfpmConfig)
	if err != nil {
		return err
	}
	files, err := filepath.Abs("release/files")
	if err != nil {
		return err
	}
	var text bytes.Buffer
	err = t.Execute(&text, map[string]string{
		"Arch": arch, "Version": b.version, "Prerelease": b.prerelease, "Time": b.time.Format(time.RFC3339),
		"Tree": b.treePath(arch), "Doc": b.doc(), "Files": files,
	})
	if err != nil {
		return err
	}
	config := filepath.Join(b.work, "nfpm-"+arch+".yaml")
	if err := os.WriteFile(config, text.Bytes(), 0o644); err != nil {
		return err
	}
	for _, kind := range []string{"deb", "rpm", "apk"} {
		target := filepath.Join(b.out, b.name(arch)+"."+kind)
		if err := b.run(nil, "go", "tool", "-modfile=release/tools.mod", "nfpm", "package", "--config", config, "--packager", kind, "--target", target); err != nil {
			return err
		}
	}
	return nil
}

// tarball writes the tree of an architecture as an archive, with install.sh at its top.
func (b *build) tarball(arch string) (err error) {
	f, err := os.Create(filepath.Join(b.out, b.name(arch)+".tar.gz"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	z := gzip.NewWriter(f)
	w := tar.NewWriter(z)
	add := func(name, path string, info fs.FileInfo) error {
		link := ""
		if info.Mode()&fs.ModeSymlink != 0 {
			if link, err = os.Readlink(path); err != nil {
				return err
			}
		}
		h, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return err
		}
		*h = tar.Header{Typeflag: h.Typeflag, Name: b.name(arch) + "/" + name, Linkname: link, Size: h.Size, Mode: h.Mode, ModTime: b.time}
		if err := w.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil {
			_, err = w.Write(text)
		}
		return err
	}
	script, err := os.Stat("release/files/install.sh")
	if err != nil {
		return err
	}
	if err := add("install.sh", "release/files/install.sh", script); err != nil {
		return err
	}
	zsh := filepath.Join(b.doc(), "_subuidless")
	if info, err := os.Stat(zsh); err != nil {
		return err
	} else if err := add("share/zsh/site-functions/_subuidless", zsh, info); err != nil {
		return err
	}
	err = filepath.WalkDir(b.treePath(arch), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(b.treePath(arch), path)
		if err != nil {
			return err
		}
		return add(name, path, info)
	})
	return errors.Join(err, w.Close(), z.Close())
}

// copyOut copies a file of the repository to the results.
func (b *build) copyOut(source, name string, mode os.FileMode) error {
	text, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.out, name), text, mode)
}

// checksums writes SHA256SUMS of all results.
func (b *build) checksums() error {
	entries, err := os.ReadDir(b.out)
	if err != nil {
		return err
	}
	var sums bytes.Buffer
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(b.out, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(text), e.Name())
	}
	return os.WriteFile(filepath.Join(b.out, "SHA256SUMS"), sums.Bytes(), 0o644)
}
