package layer

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// FuzzACLText parses the ACLs in the headers of an archive.
func FuzzACLText(f *testing.F) {
	f.Add("user::rw-,user:33:r--,group::r--,mask::rwx,other::---")
	f.Add("u::7,g::5\nuser:name:rwx:1000 # comment")
	f.Fuzz(func(t *testing.T, text string) {
		if a, e := parseACLText(text); e == 0 && len(a) == 0 && text != "" && bytes.ContainsAny([]byte(text), "ugmo") {
			t.Errorf("%q is no ACL, and no error", text)
		}
	})
}

// FuzzExtract unpacks archives of three entries. Nothing outside of the directory changes.
func FuzzExtract(f *testing.F) {
	f.Add("a", "../outside", byte(tar.TypeSymlink), "a/file", "", byte(tar.TypeReg), "b", "a/file", byte(tar.TypeLink))
	f.Add("../outside/file", "", byte(tar.TypeReg), "d/", "", byte(tar.TypeDir), "d/../../outside/new", "", byte(tar.TypeReg))
	f.Add("d", "", byte(tar.TypeDir), "d/l", "/../outside", byte(tar.TypeSymlink), "d/l/.wh.file", "", byte(tar.TypeReg))
	f.Add("l", "l", byte(tar.TypeSymlink), "l/x", "", byte(tar.TypeFifo), "l", "../outside/file", byte(tar.TypeLink))
	f.Fuzz(func(t *testing.T, name1, link1 string, type1 byte, name2, link2 string, type2 byte, name3, link3 string, type3 byte) {
		dir := t.TempDir()
		root, outside := filepath.Join(dir, "root"), filepath.Join(dir, "outside")
		for _, d := range []string{root, outside} {
			if err := os.Mkdir(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(outside, "file"), []byte("canary"), 0o600); err != nil {
			t.Fatal(err)
		}
		var archive bytes.Buffer
		w := tar.NewWriter(&archive)
		for _, h := range []tar.Header{
			{Name: name1, Linkname: link1, Typeflag: type1, Mode: 0o755},
			{Name: name2, Linkname: link2, Typeflag: type2, Mode: 0o755, Size: 1},
			{Name: name3, Linkname: link3, Typeflag: type3, Mode: 0o755, Size: 1},
		} {
			if h.Typeflag != tar.TypeReg {
				h.Size = 0
			}
			if h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock || w.WriteHeader(&h) != nil {
				return // devices need a container, and archive/tar does not write everything
			}
			if _, err := w.Write(make([]byte, h.Size)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		t.Chdir("/proc")
		hangs := time.AfterFunc(time.Minute, func() { panic("it hangs") }) // the fuzzer keeps the input
		defer hangs.Stop()
		for _, live := range []bool{false, true} {
			u := &Unpacker{Limits: Limits{Entries: 10, Bytes: 1 << 20, Size: 1 << 20}, Warn: func(string) {}}
			if live {
				fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
				if err != nil {
					t.Fatal(err)
				}
				_ = u.Extract(fd, bytes.NewReader(archive.Bytes()))
			} else {
				_ = u.Apply(root, nil, bytes.NewReader(archive.Bytes()))
			}
			var st unix.Stat_t
			if err := unix.Lstat(filepath.Join(outside, "file"), &st); err != nil || st.Nlink != 1 {
				t.Fatalf("the file outside: %v, %d links", err, st.Nlink)
			}
			content, err := os.ReadFile(filepath.Join(outside, "file"))
			names, listed := os.ReadDir(outside)
			all, listedToo := os.ReadDir(dir)
			if string(content) != "canary" || len(names) != 1 || len(all) != 2 || err != nil || listed != nil || listedToo != nil {
				t.Fatalf("outside: %q, %v, %v, %v, %v, %v", content, names, all, err, listed, listedToo)
			}
		}
	})
}
