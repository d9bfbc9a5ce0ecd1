package test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/rootless-containers/subuidless/internal/image/layer"
)

// readYAML decodes the documents of the first YAML block of a Markdown page, one after the other,
// into v.
func readYAML(page string, v any) error {
	b, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	_, block, found := strings.Cut(string(b), "```yaml\n")
	block, _, closed := strings.Cut(block, "```\n")
	if !found || !closed {
		return fmt.Errorf("%s has no YAML", page)
	}
	for d := yaml.NewDecoder(strings.NewReader(block)); ; {
		if err := d.Decode(v); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", page, err)
		}
	}
}

// insecureRegistry returns a registries.conf(5) with which the registry at addr may lack TLS.
func insecureRegistry(addr string) string {
	return fmt.Sprintf("[[registry]]\nlocation = %q\ninsecure = true\n", addr)
}

// ciJob is a directory in which the script of a job runs, with a registry at addr.
type ciJob struct {
	t    *testing.T
	addr string
	dir  string
	env  []string
}

// newCIJob returns a job whose directory has a Dockerfile, with programs: scripts in its PATH.
func newCIJob(t *testing.T, programs map[string]string) *ciJob {
	t.Helper()
	needs(t, "busybox")
	registry, err := serveRegistry()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { registry.Close() })
	j := &ciJob{t: t, addr: registry.Addr().String(), dir: t.TempDir()}
	home := t.TempDir()
	t.Cleanup(func() {
		if err := layer.RemoveAll(home); err != nil {
			t.Error(err)
		}
	})
	j.env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home+"/data", "USER=me", "TMPDIR="+home, "PATH="+home+"/bin:"+os.Getenv("PATH"))
	files := map[string]string{
		home + "/.config/containers/registries.conf": insecureRegistry(j.addr),
		j.dir + "/Dockerfile":                        fmt.Sprintf("FROM %s/%s\nRUN chown 33:33 /srv\nUSER 33:44\nCMD [\"sh\", \"-c\", \"id -u; id -g\"]\n", j.addr, baseImage),
	}
	for name, script := range programs {
		files[home+"/bin/"+name] = "#!/bin/sh\n" + script
	}
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

// run runs a script, and fails unless the registry named in the page has the image afterwards.
func (j *ciJob) run(script string, env ...string) string {
	j.t.Helper()
	script = strings.ReplaceAll(script, "registry.example.org", j.addr)
	cmd := command(j.t, "sh", "-eu", "-c", script)
	cmd.Dir, cmd.Env = j.dir, append(j.env, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		j.t.Fatalf("%v\n%s\n%s%s", err, script, &stdout, &stderr)
	}
	return stdout.String()
}

// pushed fails unless the registry has the image, with the owner of the Dockerfile.
func (j *ciJob) pushed(image string) {
	j.t.Helper()
	d, err := describePushed(image)
	if err != nil {
		j.t.Fatal(err)
	}
	if want := "5 33:33 0755"; d["/srv"] != want {
		j.t.Errorf("/srv of %s is %q, want %q", image, d["/srv"], want)
	}
}

// TestSlurmDocs runs the commands of docs/ci/slurm.md with stand-ins for Slurm.
func TestSlurmDocs(t *testing.T) {
	options := "while case $1 in -*) true;; *) false;; esac; do shift; done\n"
	j := newCIJob(t, map[string]string{"srun": options + `exec "$@"`, "sbatch": options + `exec sh "$1"`})
	out := j.run(pageCommands(t, "ci/slurm.md") + "cat result\n")
	if got := strings.Count(out, "33\n44\n"); got != 2 || !strings.HasSuffix(out, "\n0\n") {
		t.Errorf("the commands printed:\n%s", out)
	}
}

// TestGitLabDocs runs the script of docs/ci/gitlab.md.
func TestGitLabDocs(t *testing.T) {
	var jobs map[string]struct{ Script []string }
	if err := readYAML(work("docs", "ci", "gitlab.md"), &jobs); err != nil {
		t.Fatal(err)
	}
	j := newCIJob(t, nil)
	script := strings.Join(jobs["build"].Script, "\n")
	env := []string{
		"CI_REGISTRY=" + j.addr, "CI_REGISTRY_USER=u", "CI_REGISTRY_PASSWORD=p", "CI_REGISTRY_IMAGE=" + j.addr + "/group/app", "CI_COMMIT_SHORT_SHA=1234abcd",
	}
	for _, what := range []string{"the first time", "with the cache"} {
		if out := j.run(script, env...); !strings.HasSuffix(out, "33\n44\n") {
			t.Errorf("%s: the script printed:\n%s", what, out)
		}
	}
	j.pushed(j.addr + "/group/app:1234abcd")
}

// TestGitHubDocs runs the steps of docs/ci/github.md, except for Install.
func TestGitHubDocs(t *testing.T) {
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct{ Name, Run string }
		}
	}
	if err := readYAML(work("docs", "ci", "github.md"), &workflow); err != nil {
		t.Fatal(err)
	}
	j := newCIJob(t, nil)
	ran := 0
	for _, step := range workflow.Jobs["image"].Steps {
		if step.Name == "Install" || step.Run == "" {
			continue
		}
		ran++
		if expression := regexp.MustCompile(`\$\{\{.*\}\}`).FindString(step.Run); expression != "" {
			t.Fatalf("%s: the test does not know %s", step.Name, expression)
		}
		j.run(step.Run, "IMAGE="+j.addr+"/owner/repository:0123", "GITHUB_ACTOR=a", "TOKEN=t")
	}
	if ran != 2 {
		t.Errorf("%d steps ran, want 2", ran)
	}
	j.pushed(j.addr + "/owner/repository:0123")
}
