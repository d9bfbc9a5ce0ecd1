package test

import (
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
