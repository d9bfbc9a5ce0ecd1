package dockerfile

import (
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
)

// Image is the configuration of an image, with the fields that docker adds to those of OCI.
type Image = dockerspec.DockerOCIImage

// Step is an evaluated instruction. At most one of Run, Copy and Workdir is set; each makes a
// layer.
type Step struct {
	Line    int
	Text    string // the instruction in one line
	History string // for the history of the image
	Run     *Run
	Copy    *Copy
	Workdir *Workdir
}

// HasLayer reports whether the step makes a layer.
func (s *Step) HasLayer() bool { return s.Run != nil || s.Copy != nil || s.Workdir != nil }

// Run is a RUN instruction.
type Run struct {
	Args    []string
	Env     []string // NAME=VALUE: of the image, and the arguments
	Proxies []string // NAME=VALUE, which are no part of what the result depends on
	User    string   // as in the configuration of an image
	Dir     string   // absolute path
	Network string   // default, none or host
	Mounts  []Mount
	Script  *Inline // a program, at ScriptDir
}

// ScriptDir is where RUN finds the program of a here-document that begins with #!.
const ScriptDir = "/dev/pipes"

// The values of Mount.Type.
const (
	MountBind   = "bind"
	MountCache  = "cache"
	MountTmpfs  = "tmpfs"
	MountSecret = "secret"
	MountSSH    = "ssh"
)

// Mount is a mount of a RUN instruction.
type Mount struct {
	Type     string
	From     *Ref   `json:"-"` // of bind and cache; nil: the context, and for a cache nothing
	Source   string // absolute path in From
	Target   string // absolute path; empty for a secret that is only a variable
	ReadOnly bool
	Size     int64  // of a tmpfs in bytes; 0: no limit
	ID       string // of a cache, secret or agent
	Sharing  string // of a cache: shared, private or locked
	Required bool   // a secret or agent that the user must give
	Env      string // variable that holds a secret; empty: none
	Mode     *int64 // of a cache, secret or agent
	UID, GID uint32
}

// Inline is a file whose content is in the Dockerfile.
type Inline struct{ Name, Content string }

// Copy is a COPY or ADD instruction.
type Copy struct {
	Sources []Source
	Dest    string // absolute path; with a slash at the end if it must be a directory
	Chown   string // as written; empty: none
	Chmod   string
	Exclude []string
	Parents bool
	Link    bool // the files do not depend on what the layers below have at Dest
}

// Source is a source of COPY or ADD. Exactly one of Path, URL and Inline is set.
type Source struct {
	Path     string
	From     *Ref   `json:"-"` // of Path; nil: the context
	URL      string // http or https
	Git      string // repository: URL[#[REF][:SUBDIR]]
	Checksum string // of URL, ALGORITHM:HEX, or the beginning of the commit of Git; empty: none
	Inline   *Inline
	Unpack   bool

	KeepGitDir bool // of Git: copy the directory .git, too
}

// Workdir is a WORKDIR instruction.
type Workdir struct {
	Path string // absolute
	User string // who owns the directory if it is new; empty: root
}
