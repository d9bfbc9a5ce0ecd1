package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// installed are files of every package.
var installed = []string{
	"usr/bin/subuidless", "usr/bin/subuidless-runtime", "usr/bin/fakeroot-subuidless", "usr/bin/proot-subuidless",
	"usr/share/man/man1/subuidless.1.gz", "usr/share/man/man1/subuidless-exec.1.gz", "usr/share/man/man1/subuidless-build.1.gz", "usr/share/man/man1/proot-subuidless.1.gz",
	"usr/share/bash-completion/completions/subuidless", "usr/share/fish/vendor_completions.d/subuidless.fish",
	"usr/lib/systemd/user/subuidless.socket", "usr/share/subuidless/subuidless.apparmor",
	"usr/share/doc/subuidless/third-party-licenses.gz", "usr/share/doc/subuidless/sbom.cdx.json",
}

// TestRelease makes a release for this architecture twice, and installs what it has made.
func TestRelease(t *testing.T) {
	t.Chdir("..")
	var dirs [2]string
	for i := range dirs {
		dirs[i] = t.TempDir()
		if err := release(dirs[i], []string{runtime.GOARCH}); err != nil {
			t.Fatal(err)
		}
	}
	dist := dirs[0]
	if a, b := hashes(t, dist), hashes(t, dirs[1]); a != b {
		t.Fatalf("two runs differ:\n%s\n%s", a, b)
	}
	if err := os.Chmod(dist, 0o755); err != nil {
		t.Fatal(err)
	}
	one := func(suffix string) string {
		found, err := filepath.Glob(filepath.Join(dist, "*"+suffix))
		if err != nil || len(found) != 1 {
			t.Fatalf("*%s: %v, %v", suffix, found, err)
		}
		return found[0]
	}
	t.Run("rpm", func(t *testing.T) { wantFiles(t, listRPM(t, one(".rpm"))) })
	t.Run("apk", func(t *testing.T) { wantFiles(t, command(t, "tar", "-tzf", one(".apk"))) })
	t.Run("install.sh", func(t *testing.T) { testInstall(t, dist) })
	for _, rootfs := range debians {
		t.Run(rootfs, func(t *testing.T) { testDebian(t, one(".deb"), rootfs) })
	}
}

func hashes(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s %x\n", e.Name(), sha256.Sum256(text))
	}
	return all.String()
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// wantFiles checks the list of files in a package.
func wantFiles(t *testing.T, list string) {
	t.Helper()
	var names []string
	for line := range strings.Lines(list) {
		names = append(names, strings.TrimLeft(strings.TrimSpace(line), "./"))
	}
	for _, name := range append(installed, "usr/share/zsh/site-functions/_subuidless") {
		if !slices.Contains(names, name) {
			t.Errorf("%s is missing", name)
		}
	}
}

// listRPM returns the list of files in the payload of a package: it follows a lead of 96 bytes and
// two headers, of which the first one is padded to 8 bytes.
func listRPM(t *testing.T, name string) string {
	t.Helper()
	if _, err := exec.LookPath("cpio"); err != nil {
		t.Skip("cpio is missing: apt-get install cpio")
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	rest := text[96:]
	for i := range 2 {
		entries, size := binary.BigEndian.Uint32(rest[8:]), binary.BigEndian.Uint32(rest[12:])
		header := 16 + 16*int(entries) + int(size)
		if i == 0 {
			header = (header + 7) / 8 * 8
		}
		rest = rest[header:]
	}
	z, err := gzip.NewReader(bytes.NewReader(rest))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cpio", "-t", "--quiet")
	cmd.Stdin = bytes.NewReader(payload)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// testInstall installs a release in a home, updates it and removes it.
func testInstall(t *testing.T, dist string) {
	home := t.TempDir()
	script := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("sh", append([]string{filepath.Join(dist, "install.sh")}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+home)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("install.sh %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	store := filepath.Join(home, ".local/share/subuidless/index")
	if err := os.MkdirAll(filepath.Dir(store), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(store, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, {"update"}} {
		if out := script(args...); !strings.Contains(out, "Installed subuidless version ") {
			t.Errorf("install.sh %q: %s", args, out)
		}
		// The next one finds a file that the release does not have.
		command(t, "sh", "-euc", `cd "$1/.local"; echo share/obsolete/file >>lib/subuidless/manifest; mkdir -p share/obsolete; echo >share/obsolete/file`, "sh", home)
	}
	unit, err := os.ReadFile(filepath.Join(home, ".local/share/systemd/user/subuidless.service"))
	if err != nil || !strings.Contains(string(unit), "ExecStart="+home+"/.local/bin/subuidless agent") {
		t.Errorf("the unit is %q, %v", unit, err)
	}
	command(t, filepath.Join(home, ".local/bin/fakeroot-subuidless"), "--version")
	script("uninstall")
	want := ""
	for dir := store; dir != home; dir = filepath.Dir(dir) {
		want = dir + "\n" + want
	}
	if left := command(t, "find", home, "-mindepth", "1"); left != want {
		t.Errorf("left:\n%s", left)
	}
}
