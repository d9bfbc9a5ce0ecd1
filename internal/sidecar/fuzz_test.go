package sidecar

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// FuzzMtree reads a specification for the command import.
func FuzzMtree(f *testing.F) {
	f.Add([]byte("#mtree v2.0\n. type=dir\n    a\\040b type=file mode=4755 uid=33 gid=44\n..\n"))
	f.Add([]byte("#mtree v2.0\n./d type=char device=linux,1,3 xattr.user.a=YQ==\n/set uid=1\n./l type=link uid=4294967294\n"))
	f.Add([]byte("..\n..\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		files, err := readFiles(bytes.NewReader(text))
		if err != nil {
			return
		}
		for _, x := range files {
			if x.path != filepath.Clean(x.path) || x.mode > 0o7777 {
				t.Errorf("%q: path %q, mode %o", text, x.path, x.mode)
			}
			if x.UID == owner.Noop && x.ID != owner.Unchanged && x.GID == owner.Noop {
				t.Errorf("%q: owner %v", text, x.ID)
			}
		}
	})
}
