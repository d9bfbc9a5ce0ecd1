// Package reference parses the names of images as users of docker, podman and skopeo write
// them.
package reference

import (
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Transport says where an image is. The values are the prefixes of containers-transports(5).
type Transport string

const (
	Registry      Transport = "docker"         // docker://NAME, or NAME alone
	Layout        Transport = "oci"            // oci:DIR[:TAG], an OCI image layout
	LayoutArchive Transport = "oci-archive"    // oci-archive:FILE[:TAG], a tar archive of one
	DockerArchive Transport = "docker-archive" // docker-archive:FILE[:NAME], of docker save
	Directory     Transport = "dir"            // dir:DIR, the manifest and blobs as plain files
)

// Reference names an image.
type Reference struct {
	Transport Transport
	Path      string // the file or directory; empty for Registry
	Tag       string // what comes after Path and a colon; may be empty

	// Name is the complete name for Registry: docker.io/library/alpine:latest, or
	// NAME@sha256:... .
	Name string
}

// dockerHub is the name that users know, and go-containerregistry calls name.DefaultRegistry.
const dockerHub = "docker.io"

// Parse parses text. Short names resolve as in docker, to docker.io, unless aliases has them.
func Parse(text string, aliases Aliases) (Reference, error) {
	scheme, rest, found := strings.Cut(text, ":")
	if found {
		switch t := Transport(scheme); t {
		case Registry:
			if short, ok := strings.CutPrefix(rest, "//"); ok {
				return parseName(short, aliases)
			}
		case Layout, LayoutArchive, DockerArchive, Directory:
			r := Reference{Transport: t, Path: rest}
			if t != Directory {
				r.Path, r.Tag, _ = strings.Cut(rest, ":")
			}
			if r.Path == "" {
				return Reference{}, fmt.Errorf("image %q: the path after the colon is missing", text)
			}
			return r, nil
		}
	}
	return parseName(text, aliases)
}

func parseName(text string, aliases Aliases) (Reference, error) {
	full := aliases.expand(text)
	ref, err := name.ParseReference(full)
	if err != nil {
		return Reference{}, fmt.Errorf("image %q: not a valid name, such as alpine, ghcr.io/owner/name:tag and NAME@sha256:DIGEST: %w", text, err)
	}
	return Reference{Transport: Registry, Name: Canonical(ref)}, nil
}

// Canonical returns the complete name of ref, with docker.io for Docker Hub.
func Canonical(ref name.Reference) string {
	full := ref.Name()
	if rest, ok := strings.CutPrefix(full, name.DefaultRegistry+"/"); ok {
		return dockerHub + "/" + rest
	}
	return full
}

// Remote returns e for package remote of go-containerregistry, which uses plain HTTP if the
// registry is insecure and does not speak TLS.
func (e Endpoint) Remote() (name.Reference, error) {
	var options []name.Option
	if e.Insecure {
		options = append(options, name.Insecure)
	}
	return name.ParseReference(e.Name, options...)
}

// HasDigest reports whether r names an image by its digest.
func (r Reference) HasDigest() bool { return strings.Contains(r.Name, "@") }

// Repository returns the name without its tag or digest.
func Repository(full string) string {
	if repository, _, ok := strings.Cut(full, "@"); ok {
		return repository
	}
	if i := strings.LastIndexByte(full, ':'); i > strings.LastIndexByte(full, '/') {
		return full[:i]
	}
	return full
}

// String returns r as Parse accepts it.
func (r Reference) String() string {
	if r.Transport == Registry {
		return r.Name
	}
	text := string(r.Transport) + ":" + r.Path
	if r.Tag != "" {
		text += ":" + r.Tag
	}
	return text
}
