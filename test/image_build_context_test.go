package test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// TestBuildPush pushes what it builds, and writes its digests.
func TestBuildPush(t *testing.T) {
	reg := startRegistry(t)
	b := newBuildDir(t, map[string]string{"f": "x", "base/g": "y", "Dockerfile": "FROM dir AS first\n\nFROM localhost/base\nCOPY --from=first g /g\nCOPY f /f\n"})
	out, pushed := t.TempDir(), reg.host+"/pushed:1"
	id, _ := b.build("-t", pushed+"0", "-t", pushed, "--push", "--tls-verify=false", "--build-context", "dir=base", "--metadata-file", out+"/metadata",
		"-o", "type=tar,dest="+out+"/tar", "-o", out+"/dir", ".")
	text, err := os.ReadFile(out + "/metadata")
	if err != nil {
		t.Fatal(err)
	}
	var metadata struct {
		Config     string        `json:"containerimage.config.digest"`
		Digest     string        `json:"containerimage.digest"`
		Descriptor v1.Descriptor `json:"containerimage.descriptor"`
		Names      string        `json:"image.name"`
	}
	if err := json.Unmarshal(text, &metadata); err != nil {
		t.Fatal(err)
	}
	if want := pushed + "0," + pushed; metadata.Config != id || metadata.Names != want || metadata.Descriptor.Digest.String() != metadata.Digest {
		t.Errorf("--metadata-file: %s", text)
	}
	if _, err := os.Stat(out + "/tar"); err != nil {
		t.Error(err)
	}
	const list = "cat /f /g"
	other := imageStore(t)
	if got := subuidless(t, "run", "--rm", "-q", "--tls-verify=false", other, reg.host+"/pushed@"+metadata.Digest, "sh", "-c", list); got != "xy" {
		t.Errorf("the image in the registry: %q", got)
	}
	if got := subuidless(t, "run", out+"/dir", "--", "sh", "-c", list); got != "xy" {
		t.Errorf("--output: %q", got)
	}
	// A directory is the base of an image that can be squashed and saved.
	b.write(map[string]string{"Dockerfile": "FROM dir\nCOPY f /f\nCOPY f /h\n"})
	b.build("-t", "based", "--squash", "--build-context", "dir=base", "-o", "type=oci,dest="+out+"/oci", ".")
	subuidless(t, "pull", "-q", other, "oci-archive:"+out+"/oci")
	for args, want := range map[string]string{
		"--push .":                                    "--push needs --tag",
		"-o type=tar -o type=oci .":                   "only one can be written to the standard output",
		"--build-context dir .":                       "must be NAME=DIR",
		"--build-context dir=/no/such .":              "--build-context dir: context: stat /no/such: no such file",
		"--build-context dir=docker-image:// .":       "the name of the image is missing",
		"--build-context dir=https://example.org/x .": "must be a directory",
	} {
		wantText(t, args, b.fails(strings.Fields(args)...), want)
	}
	b.clean()
}

// TestBuildFlags checks a Dockerfile, limits what RUN may do, and refuses what cannot be done.
func TestBuildFlags(t *testing.T) {
	b := newBuildDir(t, map[string]string{
		"Dockerfile": "FROM localhost/base\nRUN ulimit -n > /limit; busybox df -k /dev/shm | busybox grep -c ' 1024 ' > /shm || true\n", "warnings": "FROM localhost/base\nENV a b\nCMD x\n", "errors": "FROM localhost/base\nNONSENSE\n", "values": "FROM localhost/base AS a\nLABEL x=$PATH y=$PAHT\nFROM a\nCOPY hidden /\n",
		".dockerignore": "hidden\n",
	})
	id, _ := b.build("--ulimit=nofile=64", "--layers", "--provenance=false", "--sbom=false", ".")
	if out := b.run(id, "cat /limit"); out != "64\n" {
		t.Errorf("the limit is %q", out)
	}
	other, _ := b.build("--ulimit=nofile=65:66", "--shm-size=1m", "--jobs=2", ".")
	if out := b.run(other, "cat /limit /shm"); out != "65\n1\n" {
		t.Errorf("with another limit: %q", out)
	}
	if out := subuidless(t, "build", "--check", b.store, b.dir); out != "Check complete, no warnings found.\n" {
		t.Errorf("--check: %q", out)
	}
	for _, tt := range [][]string{
		{"--check", "--file=" + b.dir + "/warnings", "warnings:2\n", "warnings:3\n", "WARNING: JSONArgsRecommended - https://docs.docker.com/", "the Dockerfile has 2 warnings"},
		{"--check", "--file=" + b.dir + "/values", "Usage of undefined variable '$PAHT' (did you mean $PATH?)\n", "/values:2\n", "Attempting to Copy file \"hidden\" that is excluded by .dockerignore\n", "/values:4\n", "has 2 warnings"},
		{"--check", "--file=" + b.dir + "/errors", "errors:2: unknown instruction: NONSENSE"},
		{"--provenance", "--quiet", "attestations are not supported"},
		{"--memory=1g", "--quiet", "systemd-run --user --scope"},
		{"--format=docker", "--quiet", "unknown flag: --format: images that are built have the media types of OCI"},
		{"--sbom=true", "--quiet", "attestations are not supported"},
	} {
		out := fails(t, "build", b.store, tt[0], tt[1], b.dir)
		for _, want := range tt[2:] {
			wantText(t, strings.Join(tt[:2], " "), out, want)
		}
	}
}
