package build

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/rootless-containers/subuidless/internal/image/build/files"
	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
	"github.com/rootless-containers/subuidless/internal/image/unpack"
	"github.com/rootless-containers/subuidless/internal/isolation"
)

// Output is where --output writes an image.
type Output struct {
	Type string // oci, docker, local or tar
	Dest string // path; "-": the standard output
}

// ParseOutput parses type=TYPE[,dest=PATH], or the path of a directory as docker does.
func ParseOutput(text string) (*Output, error) {
	o := new(Output)
	if !strings.Contains(text, "=") {
		o.Type, o.Dest = "local", text
		if text == stdin {
			o.Type = "tar"
		}
		return o, nil
	}
	for field := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(field, "=")
		switch strings.TrimSpace(key) {
		case "type":
			o.Type = value
		case "dest":
			o.Dest = value
		default:
			return nil, fmt.Errorf("--output %s: unknown option %q: must be type or dest", text, key)
		}
	}
	switch o.Type {
	case "oci", "docker", "tar":
		if o.Dest == "" {
			o.Dest = "-"
		}
	case "local":
		if o.Dest == "" || o.Dest == "-" {
			return nil, fmt.Errorf("--output %s: type=local needs dest=DIRECTORY", text)
		}
	default:
		return nil, fmt.Errorf("--output %s: type must be oci, docker, local or tar", text)
	}
	return o, nil
}

// complete reports whether an image without a name need not be in the store, because what the
// output has is all that the user wants.
func (o *Output) complete() bool { return o != nil && o.Type != "docker" }

// write writes an image of the store, whose layers are unpacked.
func (o *Output) write(s *store.Store, use store.Lock, i *store.Image) error {
	switch o.Type {
	case "oci":
		return transfer.Save(s, []*store.Image{i}, transfer.FormatLayoutArchive, o.Dest)
	case "docker":
		return transfer.Save(s, []*store.Image{i}, transfer.FormatDockerArchive, o.Dest)
	}
	var layers []string
	for _, id := range i.Layers() {
		layers = append(layers, s.LayerPath(id))
	}
	if o.Type == "local" {
		return o.writeDir(s, use, layers)
	}
	return o.writeTar(s, use, layers)
}

// writeDir copies the root file system to a new or empty directory, with records of its owners.
func (o *Output) writeDir(s *store.Store, use store.Lock, layers []string) error {
	dest, err := filepath.Abs(o.Dest)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dest, 0o755); err != nil {
		return err
	}
	if entries, err := os.ReadDir(dest); err != nil || len(entries) > 0 {
		return errors.Join(err, fmt.Errorf("--output: the directory %s is not empty", o.Dest))
	}
	if len(layers) == 0 {
		return nil
	}
	p, err := unpack.Start(s, use, isolation.Current().NativeOwners())
	if err != nil {
		return err
	}
	err = p.Merge(layers, dest)
	return errors.Join(err, p.Close())
}

// writeTar writes the root file system as an archive.
func (o *Output) writeTar(s *store.Store, use store.Lock, layers []string) (err error) {
	dir, err := os.MkdirTemp(s.TempDir(), "output-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, layer.RemoveAll(dir)) }()
	p, err := files.Start(use, isolation.Current().NativeOwners())
	if err != nil {
		return err
	}
	archive := filepath.Join(dir, "archive")
	if len(layers) == 0 {
		empty := filepath.Join(dir, "empty")
		if err := os.Mkdir(empty, 0o755); err != nil {
			return errors.Join(err, p.Close())
		}
		layers = []string{empty}
	}
	err = p.Tree(layers, archive)
	if err := errors.Join(err, p.Close()); err != nil {
		return err
	}
	in, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer in.Close()
	return transfer.SaveFile(o.Dest, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}
