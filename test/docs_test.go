package test

import (
	"archive/tar"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/rootless-containers/subuidless/internal/image/layer"
	"github.com/rootless-containers/subuidless/test/pages"
)

// docPage is how TestDocs runs the commands of a page.
type docPage struct {
	requirements []string
	prepare      func(t *testing.T, dir string) // makes what the commands use; nil if that is nothing
}

// docPages are the pages in docs that TestDocs runs.
var docPages = map[string]docPage{
	"crun.md":            {[]string{"busybox", "crun"}, prepareBundle},
	"engines/runtime.md": {},
	"identities.md":      {},
	"images.md":          {[]string{"busybox"}, nil},
	"install.md":         {},
	"ownership.md":       {[]string{"busybox"}, prepareRootfs},
	"permissions.md":     {nil, prepareMakefile},
	"proot.md":           {[]string{"busybox"}, prepareRootfs},
	"runc.md":            {[]string{"busybox", "runc"}, prepareBundle},
}

// pageTests are the tests that run the commands of other pages in docs.
var pageTests = map[string]func(*testing.T){
	"build.md":         TestBuildDocs,
	"ci/github.md":     TestGitHubDocs,
	"ci/gitlab.md":     TestGitLabDocs,
	"ci/kubernetes.md": TestPod,
	"ci/slurm.md":      TestSlurmDocs,
	"containers.md":    TestContainerDocs,
}

// TestDocs runs the commands of docPages, those of a page in one shell, and compares what they
// print with what the page shows. Each page in docs with commands that are not marked as not run
// must have a test.
func TestDocs(t *testing.T) {
	docs := os.DirFS(work("docs"))
	err := fs.WalkDir(docs, ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".md" {
			return err
		}
		blocks := pageBlocks(t, name)
		_, own := pageTests[name]
		inEngines, isEngine := strings.CutPrefix(name, "engines/")
		_, engine := engineDocs[strings.TrimSuffix(inEngines, ".md")]
		p, mine := docPages[name]
		switch tested := own || mine || isEngine && engine || slices.Contains(pages.OfRelease, "docs/"+name); {
		case tested && len(blocks) == 0:
			t.Errorf("docs/%s has no commands, but a test", name)
		case !tested && len(blocks) > 0:
			t.Errorf("docs/%s:%d: no test runs this, and no comment <!-- not run: REASON --> says why", name, blocks[0].Line)
		}
		if mine {
			t.Run(strings.TrimSuffix(name, ".md"), func(t *testing.T) { p.run(t, blocks) })
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// pageBlocks returns the blocks of a page in docs that are run.
func pageBlocks(t *testing.T, name string) []pages.Block {
	t.Helper()
	text, err := os.ReadFile(work("docs", name))
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := pages.Parse(string(text))
	if err != nil {
		t.Fatalf("docs/%s: %v", name, err)
	}
	return slices.DeleteFunc(blocks, func(b pages.Block) bool { return b.NotRun != "" })
}

// pageCommands returns the commands of a page in docs without transcripts, for a shell.
func pageCommands(t *testing.T, name string) string {
	t.Helper()
	var commands strings.Builder
	for _, b := range pageBlocks(t, name) {
		commands.WriteString(strings.Join(b.Lines, "\n") + "\n")
	}
	if commands.Len() == 0 {
		t.Fatalf("docs/%s has no commands", name)
	}
	return commands.String()
}

// run runs the blocks of a page in a shell, as a user with a home directory and a registry.
func (p docPage) run(t *testing.T, blocks []pages.Block) {
	needs(t, p.requirements...)
	dir, printed := t.TempDir(), t.TempDir()
	if p.prepare != nil {
		p.prepare(t, dir)
	}
	script := "trap 'test -z \"${agents-}\" || kill $agents' EXIT\n"
	for i, b := range blocks {
		if !b.IsTranscript() {
			script += "set -x\n"
			for _, line := range b.Lines {
				script += pages.Scripted(line) + "\n"
			}
			continue
		}
		script += "set +x\n" // which would print into the transcript
		commands, _ := b.Transcript()
		for _, c := range commands {
			script += fmt.Sprintf("( %s ) >>%s/%d 2>&1 || :\n", c, printed, i)
		}
	}
	cmd := command(t, "sh", "-eu", "-c", script)
	cmd.Dir, cmd.Env = dir, newReader(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for i, b := range blocks {
		if !b.IsTranscript() {
			continue
		}
		_, want := b.Transcript()
		got, err := os.ReadFile(filepath.Join(printed, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		if got := pages.Undated(string(got)); got != want {
			t.Errorf("line %d: %s", b.Line, diff([]byte(want), []byte(got)))
		}
	}
}

// newReader returns the environment of a user for whom docker.io is a registry with some images.
func newReader(t *testing.T) []string {
	t.Helper()
	home := t.TempDir()
	t.Cleanup(func() {
		if err := layer.RemoveAll(home); err != nil {
			t.Error(err)
		}
	})
	env := append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home+"/data", "XDG_STATE_HOME="+home+"/state", "PATH="+home+"/bin:"+os.Getenv("PATH"))
	if _, missing := unmet("busybox"); missing {
		return env
	}
	bash := []entry{{Header: tar.Header{Name: "bin/bash", Mode: 0o755}, content: "#!/bin/sh\nexec sh \"$@\"\n"}}
	reg := startRegistry(t)
	for _, image := range []string{"alpine:latest", "debian:12", "postgres:17"} {
		reg.push(t, "library/"+image, imageOf(t, v1.Config{Cmd: []string{"sh"}}, busyboxLayer(t), bash))
	}
	conf := filepath.Join(home, ".config", "containers", "registries.conf")
	if err := os.MkdirAll(filepath.Dir(conf), 0o755); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("[[registry]]\nprefix = \"docker.io\"\nlocation = %q\ninsecure = true\n", reg.host)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return env
}

// prepareBundle makes the root file system of a bundle.
func prepareBundle(t *testing.T, dir string) {
	if err := makeRootfs(filepath.Join(dir, "test", "rootfs")); err != nil {
		t.Fatal(err)
	}
}

// prepareRootfs makes a root file system.
func prepareRootfs(t *testing.T, dir string) {
	if err := makeRootfs(filepath.Join(dir, "rootfs")); err != nil {
		t.Fatal(err)
	}
}

// prepareMakefile makes a Makefile.
func prepareMakefile(t *testing.T, dir string) {
	if err := os.WriteFile(filepath.Join(dir, "Makefile"), []byte("all:\n\tchown 42 Makefile\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}
