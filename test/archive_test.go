package test

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// owners holds "uid:gid" by the name of a file.
type owners map[string]string

// writeArchive writes n files with random 32-bit owners: mostly regular files,
// but also directories, symbolic links, FIFOs and hard links. It calls each
// after every file.
//
// It returns the owners.
func writeArchive(w io.Writer, n int, each func(i int)) (owners, error) {
	archive := tar.NewWriter(w)
	random := rand.New(rand.NewPCG(1, 2))
	all := owners{}
	dir, linked := "", ""
	for i := range n {
		h := &tar.Header{
			Format: tar.FormatGNU, // does not limit the ids
			Name:   fmt.Sprintf("%sf%05d", dir, i), Mode: 0o644,
			Uid: int(random.Uint32N(1<<32 - 1)), Gid: int(random.Uint32N(1<<32 - 1)),
		}
		switch {
		case i%40 == 0:
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
			h.Name = fmt.Sprintf("d%05d/", i)
			dir = h.Name
		case i%10 == 1:
			h.Typeflag, h.Linkname = tar.TypeSymlink, "nowhere"
		case i%10 == 2:
			h.Typeflag = tar.TypeFifo
		case i%10 == 3:
			linked = h.Name
			h.Size = int64(len(h.Name))
		case i%10 == 4: // the same inode, so the same owner
			h.Typeflag, h.Linkname = tar.TypeLink, linked
			if _, err := fmt.Sscanf(all[linked], "%d:%d", &h.Uid, &h.Gid); err != nil {
				return nil, err
			}
		default:
			h.Size = int64(len(h.Name))
		}
		if err := archive.WriteHeader(h); err != nil {
			return nil, err
		}
		if h.Size > 0 {
			if _, err := io.WriteString(archive, h.Name); err != nil {
				return nil, err
			}
		}
		all[strings.TrimSuffix(h.Name, "/")] = fmt.Sprintf("%d:%d", h.Uid, h.Gid)
		each(i)
	}
	return all, archive.Close()
}

// readArchive returns the owners in an archive.
func readArchive(t *testing.T, name string) owners {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := owners{}
	for archive := tar.NewReader(f); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(h.Name, "/")] = fmt.Sprintf("%d:%d", h.Uid, h.Gid)
	}
}

// compare reports files whose owners differ.
func (want owners) compare(t *testing.T, got owners) {
	t.Helper()
	wrong := 0
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] == want[name] {
			continue
		}
		if wrong++; wrong <= 10 {
			t.Errorf("%s: owner %q, want %q", name, got[name], want[name])
		}
	}
	if wrong > 0 || len(got) != len(want) {
		t.Errorf("%d of %d owners are wrong; got %d files", wrong, len(want), len(got))
	}
}

// subuidless runs subuidless and returns its output.
func subuidless(t *testing.T, args ...string) string {
	t.Helper()
	cmd := command(t, append([]string{"subuidless"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

// debianRootfs unpacks a Debian 12 root file system and returns its directory.
func debianRootfs(t *testing.T) string {
	t.Helper()
	needs(t, "debian")
	dir := t.TempDir()
	// An ordinary user can neither keep the owners nor create device nodes.
	cmd := command(t, "tar", "-C", dir, "--exclude=./dev/*", "--exclude=./usr/share", "-xf", work("debian12.tar"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return dir
}

func TestArchiveInDebian(t *testing.T) {
	needs(t, "cc")
	rootfs := debianRootfs(t)
	f, err := os.Create(filepath.Join(rootfs, "root", "in.tar"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := writeArchive(f, 2000, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := copyFile(filepath.Join(rootfs, "root", "socket"), work("bin", "socket")); err != nil {
		t.Fatal(err)
	}

	const listSockets = "; stat -c '%n %u:%g' sockets/*"
	created := subuidless(t, "run", "--workdir=/root", rootfs, "--", "sh", "-ec",
		"mkdir out sockets; tar -C out -xpf in.tar; tar -C out -cf first.tar $(ls out);"+
			"for i in 1 2 3 4 5 6 7 8; do ./socket sockets/$i; chown $((i * 500000000)):$i sockets/$i; done"+listSockets)
	want.compare(t, readArchive(t, filepath.Join(rootfs, "root", "first.tar")))
	if !strings.Contains(created, "sockets/8 4000000000:8\n") {
		t.Errorf("owners of sockets:\n%s", created)
	}

	// A second supervisor reads the owners from disk.
	again := subuidless(t, "run", "--workdir=/root", rootfs, "--", "sh", "-ec", "tar -C out -cf second.tar $(ls out)"+listSockets)
	want.compare(t, readArchive(t, filepath.Join(rootfs, "root", "second.tar")))
	if again != created {
		t.Errorf("owners of sockets, first:\n%sand in the second run:\n%s", created, again)
	}
}
