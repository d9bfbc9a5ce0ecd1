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
