package files

import (
	"time"

	"github.com/rootless-containers/subuidless/internal/image/layer"
)

// Copy describes the layer of COPY, ADD or WORKDIR.
type Copy struct {
	Sources []Source
	Dest    string   // absolute path; if it ends in a slash, it is a directory
	Owner   *Owner   // of all files; nil: that of the source
	Mode    string   // octal, or symbolic as in chmod(1); empty: that of the source
	Exclude []string // patterns of files that are left out, as in .dockerignore
	Parents bool     // keep the directories that lead to a source
	Link    bool     // do not look at what the layers below have at Dest

	// Lower are the paths of the layers that the new one is based on, the topmost first.
	Lower []string
	// Created is the time of directories and files that have none of their own, and Latest the
	// latest time of any file; zero means no limit.
	Created, Latest time.Time
}

// Owner is an owner of files.
type Owner struct{ UID, GID uint32 }

// Source is what Copy copies. Exactly one of Path, File, Inline and Dir is set.
type Source struct {
	Path string `json:",omitempty"` // in Tree, possibly with wildcards
	Tree *Tree  `json:",omitempty"`

	Inline *Inline `json:",omitempty"` // a here-document
	File   *File   `json:",omitempty"` // a file of the host
	Dir    bool    `json:",omitempty"` // nothing: Dest becomes a directory

	Unpack bool `json:",omitempty"` // an archive is unpacked
}

// Tree is where files are copied from.
type Tree struct {
	Layers []string // paths, the topmost first; one for a directory of the host
	Plain  bool     // it is a directory of the host: its files belong to root
	Ignore []string // patterns of .dockerignore
}

// Inline is a file whose content is in the Dockerfile.
type Inline struct{ Name, Content string }

// File is a file of the host that gets another name.
type File struct {
	Path    string
	Name    string
	Mode    int64
	ModTime time.Time
}

// Layer is a layer that has been made.
type Layer struct {
	Digest string // of the compressed archive
	DiffID string // of the uncompressed one
	Size   int64  // of the compressed one, in bytes
}

// Change describes the layer of what has changed.
type Change struct {
	layer.Changed

	Latest time.Time // no time in the layer is later; zero: no limit
	Stubs  []string  // absolute paths of mount points in Upper or Copy, which are removed if they are new and empty
}
