package fakeroot

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/owner"
)

// saved is a file that fakeroot 1.31 has written.
const saved = `dev=fe00,ino=10315203,mode=40700,uid=0,gid=0,nlink=2,rdev=0
dev=fe00,ino=10315205,mode=104755,uid=4294967294,gid=7,nlink=1,rdev=0
dev=fe00,ino=10315208,mode=60644,uid=0,gid=6,nlink=1,rdev=2049
`

func TestStateFile(t *testing.T) {
	var records []owner.SavedInode
	for line := range strings.Lines(saved) {
		s, err := parseLine(line)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, s)
	}
	want := owner.SavedInode{Dev: 0xfe00, Ino: 10315208, Mode: unix.S_IFBLK | 0o644, ID: owner.ID{UID: 0, GID: 6}, Nlink: 1, Rdev: unix.Mkdev(8, 1)}
	if records[2] != want {
		t.Errorf("read %+v, want %+v", records[2], want)
	}
	// The file that it replaces may be behind a symbolic link, and keeps its mode.
	dir := t.TempDir()
	name, link := filepath.Join(dir, "state"), filepath.Join(dir, "link")
	if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("state", link); err != nil {
		t.Fatal(err)
	}
	if err := save(link, slices.Values(records)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil || string(text) != saved {
		t.Errorf("wrote %q, %v", text, err)
	}
	if st, err := os.Stat(name); err != nil || st.Mode() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("left %v, %v", entries, err)
	}
}

func TestLoadErrors(t *testing.T) {
	records, err := owner.CreateTemporary(owner.TemporaryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer records.Close()
	for text, want := range map[string]string{
		"":                   "",
		saved:                "",
		saved + "\n":         "",
		saved + "dev=fe00\n": "line 4:",
		"#mtree v2.0\n":      "line 1:",
		saved[:20]:           "line 1:",
		"dev=1,ino=1,mode=644,uid=0,gid=0,nlink=1,rdev=0\n":             "no file type",
		"dev=1,ino=1,mode=100644,uid=4294967296,gid=0,nlink=1,rdev=0\n": "value 4",
	} {
		err := load(bytes.NewBufferString(text), records)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// A file that has been cut off in the middle of a line is refused: the last number may be another one.
func TestLoadTruncated(t *testing.T) {
	records, err := owner.CreateTemporary(owner.TemporaryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer records.Close()
	for n := range len(saved) {
		whole := n == 0 || saved[n-1] == '\n'
		if err := load(strings.NewReader(saved[:n]), records); (err == nil) != whole {
			t.Errorf("%q: %v", saved[:n], err)
		}
	}
}
