package test

import (
	"archive/tar"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func goarch() string { return runtime.GOARCH }

// fileCaps is cap_net_raw=ep, as the kernel stores it.
const fileCaps = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// ownerEntries has files of every type, with many owners.
func ownerEntries() []entry {
	entries := []entry{{Header: tar.Header{Name: "o/", Typeflag: tar.TypeDir, Mode: 0o755}}}
	for _, id := range []int{0, 33, 101, 1000, 65534, 4294967294} {
		dir := fmt.Sprintf("o/%d/", id)
		add := func(h tar.Header, content string) {
			h.Name, h.Uid, h.Gid = dir+h.Name, id, (id+1)%4294967295
			entries = append(entries, entry{h, content})
		}
		add(tar.Header{Typeflag: tar.TypeDir, Mode: 0o751}, "")
		add(tar.Header{Name: "file", Mode: 0o640}, "content")
		add(tar.Header{Name: "empty", Mode: 0o600}, "")
		add(tar.Header{Name: "setuid", Mode: 0o4755}, "x")
		add(tar.Header{Name: "setgid", Mode: 0o2755}, "x")
		add(tar.Header{Name: "sticky/", Typeflag: tar.TypeDir, Mode: 0o3770}, "")
		add(tar.Header{Name: "closed/", Typeflag: tar.TypeDir, Mode: 0}, "")
		add(tar.Header{Name: "closed/file", Mode: 0}, "x")
		add(tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/no/where", Mode: 0o777}, "")
		add(tar.Header{Name: "fifo", Typeflag: tar.TypeFifo, Mode: 0o640}, "")
		add(tar.Header{Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3, Mode: 0o666}, "")
		add(tar.Header{Name: "console", Typeflag: tar.TypeChar, Devmajor: 5, Devminor: 1, Mode: 0o620}, "")
		add(tar.Header{Name: "disk", Typeflag: tar.TypeBlock, Devmajor: 8, Devminor: 17, Mode: 0o660}, "")
		add(tar.Header{Name: "hard", Typeflag: tar.TypeLink, Linkname: dir + "file", Mode: 0o640}, "")
		add(tar.Header{Name: "caps", Mode: 0o755, Format: tar.FormatPAX, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": fileCaps}}, "x")
	}
	return entries
}

// wantStat returns what statFormat prints of the entries.
func wantStat(entries []entry) []string {
	modes := map[byte]string{tar.TypeReg: "regular file", tar.TypeDir: "directory", tar.TypeSymlink: "symbolic link", tar.TypeFifo: "fifo", tar.TypeChar: "character special file", tar.TypeBlock: "block special file"}
	var want []string
	for _, e := range entries {
		h := e.Header
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Typeflag == tar.TypeLink {
			for _, o := range entries {
				if o.Name == h.Linkname {
					h, e.content = o.Header, o.content
					h.Typeflag = tar.TypeReg
				}
			}
			h.Name = e.Name
		}
		kind := modes[h.Typeflag]
		if h.Typeflag == tar.TypeReg && e.content == "" {
			kind = "regular empty file"
		}
		want = append(want, fmt.Sprintf("/%s %d:%d %o %x,%x %s", strings.TrimSuffix(h.Name, "/"), h.Uid, h.Gid, h.Mode, h.Devmajor, h.Devminor, kind))
	}
	slices.Sort(want)
	return want
}

const statFormat = "%n %u:%g %a %t,%T %F"

func diffLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("%s: missing %q", what, line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("%s: unexpected %q", what, line)
		}
	}
}

func sortedLines(text string) []string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	slices.Sort(lines)
	return lines
}

// TestImageOwners pulls an image with files of every type, and compares what a container sees
// with the headers of the archive, however the root file system is made.
func TestImageOwners(t *testing.T) {
	reg := startRegistry(t)
	entries := ownerEntries()
	image := reg.push(t, "owners:1", imageOf(t, v1.Config{}, busyboxLayer(t), entries))
	store := imageStore(t)
	subuidless(t, "pull", store, image)
	for _, driver := range []string{"overlay", "copy"} {
		t.Run(driver, func(t *testing.T) {
			out := subuidless(t, "run", "--rm", store, "--storage-driver="+driver, image, "find", "/o", "-exec", "stat", "-c", statFormat, "{}", "+")
			diffLines(t, driver, sortedLines(out), wantStat(entries))
			out = subuidless(t, "run", "--rm", store, "--storage-driver="+driver, image, "sh", "-c",
				"cat /o/33/hard; stat -c ' %h' /o/33/file; touch /o/33/new; chown -h 7:8 /o/33/link /o/33/fifo /o/33/disk; stat -c %u:%g /o/33/link /o/33/fifo /o/33/disk; mv /o/101 /o/moved; stat -c '%u:%g %F' /o/moved/console")
			if want := "content 2\n7:8\n7:8\n7:8\n101:102 character special file\n"; out != want {
				t.Errorf("changes: got %q, want %q", out, want)
			}
		})
	}
	subuidless(t, "store", "check", store)
}

// TestImageNested pulls and runs images under an outer supervisor, on the host's files and in
// a container, whose own files are on overlayfs. What is on the disk is the same as without.
func TestImageNested(t *testing.T) {
	reg := startRegistry(t)
	entries := ownerEntries()
	image := reg.push(t, "nested", imageOf(t, v1.Config{}, append(busyboxLayer(t), regular("gone", "x"), dir("hidden/"), regular("hidden/below", "x")),
		append(slices.Clone(entries), regular(".wh.gone", ""), regular("hidden/.wh..wh..opq", ""), regular("hidden/above", "x"))))
	store := imageStore(t)
	list := []string{"sh", "-c", "ls -d /gone /hidden/*; find /o -exec stat -c '" + statFormat + "' {} +"}
	want := append(wantStat(entries), "/hidden/above")
	check := func(what, out string) {
		t.Helper()
		lines := slices.DeleteFunc(sortedLines(out), func(line string) bool { return strings.Contains(line, "ls: /gone") })
		slices.Sort(want)
		diffLines(t, what, lines, want)
	}
	subuidless(t, "exec", "--", "subuidless", "pull", "-q", store, image)
	check("pulled under exec", subuidless(t, append([]string{"run", "--rm", store, image}, list...)...))
	check("run under exec", subuidless(t, append([]string{"exec", "--", "subuidless", "run", "--rm", store, image}, list...)...))

	program := work("bin", "subuidless")
	inner := append([]string{"/subuidless", "run", "--rm", "-q", "--root=/tmp/store", image}, list...)
	check("in a container", subuidless(t, append([]string{"run", "--rm", "-q", "-e", "HOME=/tmp", "-v", program + ":/subuidless", store, image}, inner...)...))
}
