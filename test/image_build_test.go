package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// buildDir is a context with a store of its own, which has the image buildBase.
type buildDir struct {
	t     *testing.T
	dir   string
	store string
	env   []string
}

// newBuildDir returns a context with these files.
func newBuildDir(t *testing.T, files map[string]string) *buildDir {
	t.Helper()
	b := &buildDir{t: t, dir: filepath.Join(t.TempDir(), "context"), store: imageStore(t)}
	if err := os.Mkdir(b.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	b.write(files)
	subuidless(t, "load", b.store, "-q", "-i", buildBaseFile(t))
	return b
}

// buildBaseFile returns the path of an archive of docker that has the image localhost/base.
func buildBaseFile(t *testing.T) string {
	t.Helper()
	needs(t, "busybox")
	archive := work(buildBaseArchive)
	if _, err := os.Stat(archive); err == nil {
		return archive
	}
	dir := t.TempDir() // the tests do not run as root
	if err := writeBuildBase(dir); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, buildBaseArchive)
}

func (b *buildDir) write(files map[string]string) {
	b.t.Helper()
	for name, content := range files {
		name = filepath.Join(b.dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			b.t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *buildDir) command(args ...string) *exec.Cmd {
	cmd := command(b.t, append([]string{"subuidless", "build", b.store}, args...)...)
	cmd.Dir = b.dir
	cmd.Env = append(cmd.Environ(), b.env...)
	return cmd
}

// build builds, and returns the id of the image and the progress.
func (b *buildDir) build(args ...string) (id, progress string) {
	b.t.Helper()
	cmd := b.command(args...)
	var out, messages strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &messages
	if err := cmd.Run(); err != nil {
		b.t.Fatalf("%s: %v\n%s", cmd, err, messages.String())
	}
	return strings.TrimSpace(out.String()), messages.String()
}

// fails builds, which must fail, and returns the output.
func (b *buildDir) fails(args ...string) string {
	b.t.Helper()
	cmd := b.command(args...)
	out, err := cmd.CombinedOutput()
	if err == nil {
		b.t.Fatalf("%s succeeded:\n%s", cmd, out)
	}
	return string(out)
}

// run runs a shell script in a container of the image.
func (b *buildDir) run(image, script string) string {
	b.t.Helper()
	return subuidless(b.t, "run", "--rm", "-q", b.store, "--entrypoint=", image, "sh", "-c", script)
}

// clean fails if a build has left files behind.
func (b *buildDir) clean() {
	b.t.Helper()
	left, err := os.ReadDir(filepath.Join(strings.TrimPrefix(b.store, "--root="), "tmp"))
	if err != nil || len(left) > 0 {
		b.t.Errorf("a build has left %v in tmp (%v)", left, err)
	}
	subuidless(b.t, "store", "check", b.store)
}

func wantText(t *testing.T, what, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%s: no %q in\n%s", what, want, text)
		}
	}
}

// cachedSteps returns the numbers of steps of the progress that were cached, and executed.
func cachedSteps(progress string) (cached, done int) {
	// Loading the base image is no step.
	return strings.Count(progress, " CACHED\n"), strings.Count(progress, " DONE ") - strings.Count(progress, "load image")
}

// TestBuildCache builds again after changes. What does not depend on them is cached.
func TestBuildCache(t *testing.T) {
	b := newBuildDir(t, map[string]string{"a": "1", "b": "1", "Dockerfile": `FROM localhost/base
ARG USED
RUN echo $USED > /used
COPY a /a
RUN cat /a > /copy
COPY b /b
ENV X=1
LABEL l=1
`})
	steps := func(what string, cached, done int, args ...string) string {
		t.Helper()
		id, progress := b.build(append(args, ".")...)
		if c, d := cachedSteps(progress); c != cached || d != done {
			t.Errorf("%s: %d cached and %d done, want %d and %d:\n%s", what, c, d, cached, done, progress)
		}
		return id
	}
	first := steps("first", 0, 4)
	if again := steps("again", 4, 0); again != first {
		t.Errorf("an image of cached layers is another one: %s, %s", first, again)
	}
	if err := os.Chtimes(filepath.Join(b.dir, "a"), old, old); err != nil {
		t.Fatal(err)
	}
	steps("another time", 4, 0)
	b.write(map[string]string{"b": "2"})
	steps("the last file", 3, 1)
	b.write(map[string]string{"b": "1"})
	steps("the old file", 4, 0)
	b.write(map[string]string{"a": "2"})
	steps("the first file", 1, 3)
	if err := os.Chmod(filepath.Join(b.dir, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	steps("another mode", 1, 3)
	steps("an argument", 0, 4, "--build-arg=USED=1")
	steps("a proxy", 0+4, 0, "--build-arg=USED=1", "--build-arg=http_proxy=http://127.0.0.1:1")
	steps("--no-cache", 0, 4, "--no-cache")
	subuidless(t, "prune", "--force", "--all", b.store)
	if left, err := os.ReadDir(filepath.Join(strings.TrimPrefix(b.store, "--root="), "cache", "steps")); err != nil || len(left) > 0 {
		t.Errorf("after prune --all, the cache has %v (%v)", left, err)
	}
	b.clean()
}

// TestBuildReproducible builds twice with SOURCE_DATE_EPOCH, in different stores.
func TestBuildReproducible(t *testing.T) {
	dockerfile := map[string]string{"a/b": "1", "Dockerfile": `FROM localhost/base
WORKDIR /w
COPY --chown=5:6 a a
RUN hostname > /host && mkdir -p /d/e && ln a/b /hard && rm /bin/acpid && chown -R 7:8 /d
ENV X=1
`}
	var ids []string
	for _, args := range [][]string{{"--build-arg=SOURCE_DATE_EPOCH=1000000000"}, {"--build-arg=SOURCE_DATE_EPOCH=1000000000", "--storage-driver=copy"}} {
		b := newBuildDir(t, dockerfile)
		id, _ := b.build(append(args, "-t", "r", ".")...)
		ids = append(ids, id)
		if out := b.run(id, "stat -c %Y /w/a/b /d/e"); out != "1000000000\n1000000000\n" && len(ids) > 1 { // the unpacked upper directory keeps its times
			t.Errorf("times: %q", out)
		}
		b.clean()
	}
	if ids[0] != ids[1] {
		t.Errorf("two builds differ: %q", ids)
	}
}

// TestBuildFailures shows where and why a build fails. Nothing is left.
func TestBuildFailures(t *testing.T) {
	b := newBuildDir(t, map[string]string{"a": "1", "d/x": "1"})
	for _, tt := range []struct{ dockerfile, want string }{
		{"FROM localhost/base\n\nRUN echo one; echo two >&2; exit 7\n", "Dockerfile:3: the command \"/bin/sh -c echo one; echo two >&2; exit 7\" failed with exit status 7\n  | one\n  | two\n"},
		{"FROM localhost/base\nRUN [\"/none\"]\n", "Dockerfile:2: the command \"/none\" failed with exit status 127"},
		{"FROM localhost/base\nCOPY none /x\n", "Dockerfile:2: \"none\": not found in the source"},
		{"FROM localhost/base\nCOPY --from=localhost/base /none /x\n", "Dockerfile:2: \"none\": not found in the source"},
		{"FROM localhost/base\nCOPY a /bin/sh/x\n", "Dockerfile:2: /bin/busybox: not a directory"},
		{"FROM localhost/base\nCOPY d /etc/passwd\n", "Dockerfile:2: cannot copy a directory to /etc/passwd"},
		{"FROM localhost/base\nCOPY --chown=nobody a /x\n", "Dockerfile:2: owner \"nobody\": /etc/passwd of the image has no nobody"},
		{"FROM localhost/base\nCOPY --chown=4294967295 a /x\n", "Dockerfile:2: owner \"4294967295\": 4294967295 is not a valid id"},
		{"FROM localhost/base\nCOPY a /.wh.x\n", "Dockerfile:2: /.wh.x: names that begin with .wh. cannot be in a layer"},
		{"FROM localhost/base\nRUN touch /.wh.x\n", "names that begin with .wh. cannot be in a layer"},
		{"FROM localhost/base\nUSER nobody\nRUN id\n", "nobody"},
		{"FROM localhost/base\nRUN --mount=type=secret,id=s,required x\n", "Dockerfile:2: --mount=type=secret: the secret \"s\" is required"},
		{"FROM localhost/base\nRUN --mount=type=ssh,required x\n", "Dockerfile:2: --mount=type=ssh: the agent \"default\" is required"},
		{"FROM localhost/base\nRUN --mount=from=localhost/base,source=/none,target=/x true\n", "source /none: no such file or directory"},
		{"FROM localhost:1/none\n", "Dockerfile:1: image localhost:1/none"},
		{"FROM localhost/base AS a\nRUN sleep 1000\nFROM localhost/base AS b\nRUN exit 3\nFROM scratch\nCOPY --from=a / /\nCOPY --from=b / /\n", "Dockerfile:4: the command \"/bin/sh -c exit 3\" failed"},
	} {
		b.write(map[string]string{"Dockerfile": tt.dockerfile})
		out := b.fails("-t", "never", ".")
		_, last, _ := strings.Cut(out, "\nsubuidless: ") // not at the beginning of a line: of a step
		if !strings.Contains(last, tt.want) {
			t.Errorf("%q: the message is\n%s\nwant %q", tt.dockerfile, out, tt.want)
		}
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--target=none", "."}, `no stage "none"`},
		{[]string{"none"}, "none"},
		{[]string{"-f", "none", "."}, "there is no file none"},
		{[]string{"https://example.com/x.tar"}, "must be a directory"},
		{[]string{"file:///no/such.git"}, "context file:///no/such.git: git"},
		{[]string{"--annotation=index:a=b", "."}, "--annotation index:a=b: an image for one platform has no index"},
		{[]string{"--platform=windows/amd64", "."}, "--platform=windows/amd64"},
		{[]string{"-t", "UPPER", "."}, "UPPER"},
		{[]string{"--secret", "src=none", "."}, "--secret src=none"},
		{[]string{"--output", "type=none", "."}, "type must be"},
		{[]string{"--progress=none2", "."}, "--progress=none2"},
		{[]string{"--build-arg", "SOURCE_DATE_EPOCH=x", "."}, "SOURCE_DATE_EPOCH=x"},
	} {
		wantText(t, fmt.Sprint(tt.args), b.fails(tt.args...), tt.want)
	}
	if out := subuidless(t, "images", b.store); strings.Contains(out, "never") {
		t.Errorf("a failed build has an image:\n%s", out)
	}
	b.clean()
}

// TestBuildStages builds what the target needs, once.
func TestBuildStages(t *testing.T) {
	b := newBuildDir(t, map[string]string{"Dockerfile": `FROM localhost/base AS common
RUN echo common >> /log
FROM common AS one
RUN echo one > /one
FROM common AS two
RUN echo two > /two
FROM localhost/base AS unused
RUN exit 1
FROM localhost/base
COPY --from=one /log /one /x/
COPY --from=two /log /two /y/
RUN --mount=from=two,target=/two cmp /two/two /y/two && ! touch /two/x 2>/dev/null
RUN --mount=from=two,target=/two,rw touch /two/x
RUN --mount=type=bind,from=two,source=/two,target=/file cat /file
`})
	id, progress := b.build("-t", "stages", ".")
	if strings.Contains(progress, "exit 1") || strings.Count(progress, "echo common") != strings.Count(progress, "[common 2/2]") {
		t.Errorf("what has run:\n%s", progress)
	}
	if out := b.run(id, "cat /x/log /x/one /y/log /y/two; ls -d /two /file 2>/dev/null; true"); out != "common\none\ncommon\ntwo\n" {
		t.Errorf("files: %q", out)
	}
	b.clean()
}

// TestBuildOutputs writes images in every form.
func TestBuildOutputs(t *testing.T) {
	b := newBuildDir(t, map[string]string{"f": "x", "Dockerfile": "FROM localhost/base\nCOPY --chown=33:44 f /f\nRUN rm -r /owned && chown -h 5:6 /bin/sh\nRUN touch /last\n"})
	out := t.TempDir()
	id, _ := b.build("-t", "one", "-t", "two:2", "--iidfile", out+"/id", "--label", "a=b", ".")
	if got, err := os.ReadFile(out + "/id"); err != nil || string(got) != id {
		t.Errorf("--iidfile: %q, %v; want %s", got, err, id)
	}
	wantText(t, "images", subuidless(t, "images", b.store), "docker.io/library/one", "docker.io/library/two")
	if quiet, messages := b.build("-q", "-t", "one", "--label", "a=b", "."); quiet != id || messages != "" {
		t.Errorf("-q: %q, %q", quiet, messages)
	}
	list := "stat -c '%n %u:%g' /f /bin/sh /last; ls -d /owned"
	want := "/f 33:44\n/bin/sh 5:6\n/last 0:0\nls: /owned: No such file or directory\n"
	check := func(what, got string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	list += " 2>&1; true"
	check("store", b.run("one", list))
	for kind, transport := range map[string]string{"oci": "oci-archive:", "docker": "docker-archive:"} {
		b.build("-o", "type="+kind+",dest="+out+"/"+kind, ".")
		other := imageStore(t)
		check(kind, subuidless(t, "run", "--rm", "-q", other, transport+out+"/"+kind, "sh", "-c", list))
	}
	b.build("-o", out+"/dir", ".")
	check("local", subuidless(t, "run", out+"/dir", "--", "sh", "-c", list))
	b.build("-o", "type=tar,dest="+out+"/tar", ".")
	f, err := os.Open(out + "/tar")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tree := described{}
	if err := tree.addTree(f); err != nil {
		t.Fatal(err)
	}
	if tree["/f"] != `0 33:44 0644 1 "x"` || tree["/bin/sh"] != "2 5:6 -> busybox" || tree["/owned"] != "" {
		t.Errorf("tar: %q, %q, %q", tree["/f"], tree["/bin/sh"], tree["/owned"])
	}
	squashed, _ := b.build("--squash", "-t", "squashed", ".")
	check("squashed", b.run("squashed", list))
	var manifest struct{ RootFS struct{ Layers []string } }
	raw := subuidless(t, "inspect", b.store, squashed)
	var all []json.RawMessage
	if err := json.Unmarshal([]byte(raw), &all); err != nil || len(all) != 1 {
		t.Fatalf("inspect: %v\n%s", err, raw)
	}
	if err := json.Unmarshal(all[0], &manifest); err != nil || len(manifest.RootFS.Layers) != 2 {
		t.Errorf("a squashed image has the layers %v (%v), want one on top of the base", manifest.RootFS.Layers, err)
	}
	b.clean()
}

// TestBuildInputs reads contexts and Dockerfiles from elsewhere.
func TestBuildInputs(t *testing.T) {
	b := newBuildDir(t, map[string]string{
		"a": "1", "b": "2", "other.Dockerfile": "FROM localhost/base\nCOPY . /all/\n", "other.Dockerfile.dockerignore": "b\n", ".dockerignore": "a\n",
		"Containerfile": "FROM localhost/base\nCOPY [ab] /all/\n",
	})
	id, _ := b.build("-f", "other.Dockerfile", ".")
	if out := b.run(id, "ls -A /all"); out != ".dockerignore\nContainerfile\na\nother.Dockerfile\nother.Dockerfile.dockerignore\n" {
		t.Errorf("NAME.dockerignore: %q", out)
	}
	id, _ = b.build(".")
	if out := b.run(id, "ls /all"); out != "b\n" {
		t.Errorf("Containerfile and .dockerignore: %q", out)
	}
	stdin := func(input string, args ...string) string {
		t.Helper()
		cmd := b.command(append(args, "-q")...)
		cmd.Stdin = strings.NewReader(input)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", cmd, err)
		}
		return strings.TrimSpace(string(out))
	}
	if out := b.run(stdin("FROM localhost/base\nCOPY b /b\n", "-f", "-", "."), "cat /b"); out != "2" {
		t.Errorf("a Dockerfile on the standard input: %q", out)
	}
	if out := b.run(stdin("FROM localhost/base\nRUN echo x > /x\n", "-"), "cat /x"); out != "x\n" {
		t.Errorf("no context: %q", out)
	}
	const hosts = "FROM localhost/base\nRUN grep -w db /etc/hosts > /x || echo none > /x\n"
	for _, want := range []string{"192.0.2.1\tdb\n", "192.0.2.2\tdb\n"} { // no layer of another build
		if out := b.run(stdin(hosts, "--add-host=db:"+want[:9], "-"), "cat /x"); out != want {
			t.Errorf("--add-host: %q", out)
		}
	}
	if out := b.run(stdin(hosts, "-"), "cat /x"); out != "none\n" {
		t.Errorf("without --add-host: %q", out)
	}
	archive, err := exec.Command("tar", "-C", b.dir, "-czf", "-", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if out := b.run(stdin(string(archive), "-"), "cat /all/b"); out != "2" {
		t.Errorf("a context on the standard input: %q", out)
	}
	b.clean()
}

// TestBuildCacheFiles takes layers from a directory that another build has written.
func TestBuildCacheFiles(t *testing.T) {
	files := map[string]string{"a": "1", "Dockerfile": "FROM localhost/base\nCOPY a /a\nRUN cat /a > /b\n"}
	dir := filepath.Join(t.TempDir(), "cache")
	first := newBuildDir(t, files)
	want, _ := first.build("--cache-to=type=local,dest="+dir, ".")
	second := newBuildDir(t, files)
	id, progress := second.build("--cache-from=type=local,src="+dir, ".")
	if cached, done := cachedSteps(progress); cached != 2 || done != 0 || id != want {
		t.Errorf("%s is not %s, or not cached:\n%s", id, want, progress)
	}
	if out := second.run(id, "cat /b"); out != "1" {
		t.Errorf("the file: %q", out)
	}
	blobs, err := filepath.Glob(filepath.Join(dir, "????????????????????????????????????????????????????????????????"))
	if err != nil || len(blobs) == 0 {
		t.Fatalf("%v, %v", blobs, err)
	}
	for _, blob := range blobs {
		if err := os.WriteFile(blob, []byte("damaged"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	wantText(t, "a damaged cache", newBuildDir(t, files).fails("--cache-from=type=local,src="+dir, "."), "--cache-from")
}

// TestBuildCacheImages takes layers from images of a registry: one that has nothing else, and the one
// that has been built.
func TestBuildCacheImages(t *testing.T) {
	reg := startRegistry(t)
	files := map[string]string{"a": "1", "Dockerfile": "FROM localhost/base AS one\nRUN echo one > /one\nFROM localhost/base\nCOPY a /a\nRUN cat /a > /b\nCOPY --from=one /one /one\n"}
	full, least, app := reg.host+"/cache:max", reg.host+"/cache:min", reg.host+"/app"
	first := newBuildDir(t, files)
	_, progress := first.build("--cache-from=type=registry,ref="+full, "--cache-to=type=registry,ref="+full+",mode=max", ".")
	wantText(t, "the first build", progress, "--cache-from: "+full+" has no cache", "push cache to "+full)
	first.build("--cache-to=type=registry,ref="+least+",mode=min", ".")
	want, _ := first.build("--cache-to=type=inline", "-t", app, ".")
	subuidless(t, "push", "-q", first.store, app)
	for _, tt := range []struct {
		from         string
		cached, done int
	}{
		{"type=registry,ref=" + full, 4, 0},
		{"type=registry,ref=" + least, 3, 1}, // the stage one is needed for COPY
		{app, 3, 1},
		{"type=registry,ref=" + reg.host + "/none", 0, 4},
	} {
		b := newBuildDir(t, files)
		id, progress := b.build("--cache-from="+tt.from, "--cache-to=type=inline", ".")
		if cached, done := cachedSteps(progress); cached != tt.cached || done != tt.done || tt.cached > 0 && id != want {
			t.Errorf("%s: %d cached and %d done, want %d and %d, and %s:\n%s\n%s", tt.from, cached, done, tt.cached, tt.done, want, id, progress)
		}
		if out := b.run(id, "cat /b /one"); out != "1one\n" {
			t.Errorf("%s: the files: %q", tt.from, out)
		}
		b.clean()
	}
	reg.handle = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	wantText(t, "a registry that refuses", first.fails("--cache-to=type=registry,ref="+full, "-t", "never", "."), "subuidless: --cache-to: image "+full+": the registry refuses access")
	for flag, want := range map[string]string{
		"--cache-from=type=inline":                  "must be type=local,src=DIR or type=registry,ref=IMAGE",
		"--cache-to=type=gha":                       "must be type=local,dest=DIR or type=registry,ref=IMAGE, or for --cache-to type=inline",
		"--cache-to=type=registry":                  "--cache-to type=registry: ",
		"--cache-to=type=registry,ref=x,mode=other": "mode must be min or max",
		"--cache-to=type=registry,ref=oci:x":        "ref must be a name in a registry",
		"--cache-to=type=local,ref=x":               "must be type=local,dest=DIR",
	} {
		wantText(t, flag, first.fails(flag, "."), want)
	}
	if out := subuidless(t, "images", first.store); strings.Contains(out, "never") {
		t.Errorf("a build whose cache could not be pushed has an image:\n%s", out)
	}
}

// TestBuildParallel builds the same image several times at once.
func TestBuildParallel(t *testing.T) {
	b := newBuildDir(t, map[string]string{"a": "1", "Dockerfile": "FROM localhost/base\nCOPY a /a\nRUN --mount=type=cache,target=/c,sharing=locked cat /a > /b; test ! -e /c/busy && touch /c/busy && sleep 0.2 && rm /c/busy\n"})
	var all []*exec.Cmd
	var outputs [3]strings.Builder
	for i := range outputs {
		cmd := b.command("--no-cache", "-t", "parallel", ".")
		cmd.Stdout, cmd.Stderr = &outputs[i], &outputs[i]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, cmd)
	}
	for i, cmd := range all {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, outputs[i].String())
		}
	}
	if out := b.run("parallel", "cat /b"); out != "1" {
		t.Errorf("the file: %q", out)
	}
	b.clean()
}

// TestBuildInterrupted interrupts and kills a build while a command runs.
func TestBuildInterrupted(t *testing.T) {
	b := newBuildDir(t, map[string]string{"Dockerfile": "FROM localhost/base\nRUN echo started; sleep 1000\n"})
	for _, s := range []syscall.Signal{unix.SIGINT, unix.SIGKILL} {
		cmd := b.command("--progress=plain", ".")
		messages, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		buf := make([]byte, 1024)
		signalled := false
		for {
			n, err := messages.Read(buf)
			text.Write(buf[:n])
			if !signalled && regexp.MustCompile(`(?m)^#\d+ [0-9.]+ started$`).MatchString(text.String()) {
				signalled = true
				if err := cmd.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
			}
			if err != nil {
				break
			}
		}
		if err := cmd.Wait(); err == nil || !signalled {
			t.Fatalf("after %v: %v\n%s", s, err, text.String())
		}
		if s == unix.SIGINT {
			wantText(t, "interrupted", text.String(), "interrupted; nothing has changed")
			if status := cmd.ProcessState.ExitCode(); status != 130 {
				t.Errorf("interrupted: the exit status is %d, want 130", status)
			}
			b.clean()
		}
	}
	subuidless(t, "prune", "--force", b.store)
	b.clean()
}

// TestBuildDrivers builds with copies in the place of overlayfs, and in a container.
func TestBuildDrivers(t *testing.T) {
	b := newBuildDir(t, map[string]string{"a": "1", "d/x": "1", "Dockerfile": `FROM localhost/base
COPY --chown=5:6 a d /c/
RUN rm /c/a && mkdir /c/a && rm -r /owned/dir && touch /owned/new && chown -h 7:8 /owned/link /owned/fifo && ln /owned/33 /owned/hard && mv /srv /moved
RUN --mount=source=d,target=/mnt --mount=from=localhost/base,target=/base cp /mnt/x /y && test -e /base/bin/sh
`})
	list := "find /c /owned /y /moved /srv -exec stat -c '%n %u:%g %a %h %F' {} + 2>/dev/null | sort"
	want, _ := b.build("-t", "overlay", ".")
	wanted := b.run(want, list)
	b.build("--storage-driver=copy", "--no-cache", "-t", "copy", ".")
	if got := b.run("copy", list); got != wanted {
		t.Errorf("copy:\n%s\noverlay:\n%s", got, wanted)
	}
	// Under an outer supervisor, which stores the owners.
	cmd := command(t, "subuidless", "exec", "--", "subuidless", "build", "-q", b.store, "--no-cache", "-t", "nested", ".")
	cmd.Dir = b.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := b.run("nested", list); got != wanted {
		t.Errorf("nested:\n%s\noverlay:\n%s", got, wanted)
	}
	b.clean()
}
