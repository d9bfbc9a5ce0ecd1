package test

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBuildGit builds from a git repository.
func TestBuildGit(t *testing.T) {
	needs(t, "git")
	b := newBuildDir(t, nil)
	repository := filepath.Join(t.TempDir(), "repository.git")
	script := `git init -q -b main "$1" && cd "$1"
git config user.name me; git config user.email me@example.org; git config uploadpack.allowAnySHA1InWant false
mkdir sub; printf 'FROM localhost/base\nCOPY . /all/\n' | tee sub/Dockerfile >sub/other; echo 1 >sub/f; ln -s / out; chmod 700 sub/f
git add .; git commit -qm one; git tag v1; echo 2 >sub/f; git commit -qam two; git rev-parse v1`
	out, err := exec.Command("sh", "-euc", script, "sh", repository).Output()
	if err != nil {
		t.Fatal(err)
	}
	commit := strings.TrimSpace(string(out))
	for ref, want := range map[string]string{"": "2\n", "main": "2\n", "v1": "1\n", commit: "1\n", commit[:12]: "1\n"} {
		id, _ := b.build("-f", "other", "--annotation=org.example.a=b", "-t", "git", "file://"+repository+"#"+ref+":sub")
		if got := b.run(id, "cat /all/f; stat -c %a /all/f; ls -A /all"); got != want+"755\nDockerfile\nf\nother\n" {
			t.Errorf("%q: %q, want %s", ref, got, want)
		}
	}
	layout := filepath.Join(t.TempDir(), "layout")
	subuidless(t, "push", "-q", b.store, "git", "oci:"+layout)
	if out, err := exec.Command("grep", "-rl", `"org.example.a":"b"`, layout+"/blobs").Output(); err != nil || len(out) == 0 {
		t.Errorf("no manifest has the annotation: %v", err)
	}
	for fragment, want := range map[string]string{"#none": "none", "#:none": "has no directory none", "#:out/etc": "leads out of the repository", "#:sub/f": "is not a directory"} {
		wantText(t, fragment, b.fails("file://"+repository+fragment), "subuidless: context file://"+repository, want)
	}
	b.clean()
}

// TestBuildAddGit adds a repository that an HTTP server has as files.
func TestBuildAddGit(t *testing.T) {
	needs(t, "git")
	b := newBuildDir(t, nil)
	dir := t.TempDir()
	script := `git init -q -b main "$1/work" && cd "$1/work"
git config user.name me; git config user.email me@example.org
mkdir sub; echo 1 >sub/f; chmod 700 sub/f; ln -s f sub/l
git add .; git commit -qm one; git tag v1; echo 2 >sub/f; echo 3 >top; git add .; git commit -qm two
git clone -q --bare . "$1/x.git"; cd "$1/x.git"; git update-server-info; git rev-parse v1`
	out, err := exec.Command("sh", "-euc", script, "sh", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	commit := strings.TrimSpace(string(out))
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer server.Close()
	url := server.URL + "/x.git"
	b.write(map[string]string{"Dockerfile": "FROM localhost/base\nADD " + url + " /all/\nADD --chown=33:34 --exclude=l --checksum=" + commit[:9] + " " + url + "#v1:sub /sub\nADD --keep-git-dir=true " + url + "#main /kept\n"})
	id, _ := b.build(".")
	if got := b.run(id, "cd /; cat all/sub/f all/top sub/f; ls -A all sub; stat -c '%u:%g %a' all/top sub/f; test -f /kept/.git/HEAD && cat /kept/top"); got != "2\n3\n1\nall:\nsub\ntop\n\nsub:\nf\n0:0 644\n33:34 755\n3\n" {
		t.Errorf("the files: %q", got)
	}
	for add, want := range map[string]string{
		url + "#none /x":                           "Dockerfile:2: ADD " + url + ": git checkout",
		url + "#:none /x":                          "Dockerfile:2: ADD " + url + ": the repository has no directory none",
		server.URL + "/none.git /x":                "Dockerfile:2: ADD " + server.URL + "/none.git: git fetch",
		"--checksum=" + commit + " " + url + " /x": "not " + commit,
		server.URL + "/x.git?ref=main /x":          "not a git repository that can be fetched",
	} {
		b.write(map[string]string{"Dockerfile": "FROM localhost/base\nADD " + add + "\n"})
		wantText(t, add, b.fails("."), want)
	}
	b.clean()
}
