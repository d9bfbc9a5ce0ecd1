package test

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// TestBuildOracle builds the cases in testdata/build, and compares files and configuration with
// what buildah builds as real root. testdata/build/differences has what differs in all cases.
func TestBuildOracle(t *testing.T) {
	needs(t, "root", "debian13", "busybox", "getfattr")
	cases, err := readBuildCases(work("testdata", "build"))
	if err != nil {
		t.Fatal(err)
	}
	common, err := os.ReadFile(work("testdata", "build", "differences"))
	if err != nil {
		t.Fatal(err)
	}
	everywhere := map[string]string{}
	if err := parseDifferences(everywhere, string(common)); err != nil {
		t.Fatal(err)
	}
	store := imageStore(t)
	subuidless(t, "load", store, "-q", "-i", work(buildBaseArchive))
	remote, err := serveRemote()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remote.Close)
	for i := range cases {
		c := &cases[i]
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := described{}
			if err := readJSON(work("expected", "build", c.name), &want); err != nil {
				t.Fatal(err)
			}
			got := buildHere(t, store, c, remote.URL)
			if c.fails != "" {
				if want["error"] == "" || !strings.Contains(got["error"], c.fails) {
					t.Errorf("here: %s\n\tbuildah: %s\n\twant %q", orNone(got["error"]), orNone(want["error"]), c.fails)
				}
				return
			}
			for key, value := range c.want {
				if got[key] != value {
					t.Errorf("%s\n\there: %s\n\twant: %s", key, orNone(got[key]), value)
				}
			}
			compareBuilds(t, got, want, c.different, everywhere)
		})
	}
}

// buildHere returns what subuidless builds of a case. Url is that of serveRemote.
func buildHere(t *testing.T, store string, c *buildCase, url string) described {
	t.Helper()
	dir := t.TempDir()
	context, archive, id := filepath.Join(dir, "context"), filepath.Join(dir, "tree.tar"), filepath.Join(dir, "id")
	if err := c.makeContext(context); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, append(append([]string{"subuidless", "build", store, "--iidfile", id, "--output", "type=tar,dest=" + archive}, c.arguments(url)...), ".")...)
	cmd.Dir = context
	d := described{}
	if out, err := cmd.CombinedOutput(); err != nil {
		d["error"] = string(out)
		return d
	}
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := d.addTree(f); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(id)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := v1.NewHash(string(text))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(strings.TrimPrefix(store, "--root="), "blobs", "sha256", digest.Hex))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.addConfig(raw); err != nil {
		t.Fatal(err)
	}
	return d
}

// compareBuilds fails unless got and want differ in exactly what the tables say.
func compareBuilds(t *testing.T, got, want described, different, everywhere map[string]string) {
	t.Helper()
	if got["error"] != "" || want["error"] != "" { // there is no image
		got, want = described{"error": got["error"]}, described{"error": want["error"]}
	}
	keys := maps.Clone(got)
	maps.Copy(keys, want)
	used := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if got[key] == want[key] {
			continue
		}
		if pattern, ok := explained(different, key); ok {
			used[pattern] = true
			continue
		}
		if _, ok := explained(everywhere, key); ok {
			continue
		}
		t.Errorf("%s\n\there: %s\n\tbuildah: %s", key, orNone(got[key]), orNone(want[key]))
	}
	for pattern := range different {
		if !used[pattern] {
			t.Errorf("%s does not differ: remove it from the section different", pattern)
		}
	}
}

func orNone(text string) string {
	if text == "" {
		return "(none)"
	}
	return fmt.Sprint(text)
}

// explained returns the pattern of a table that matches key.
func explained(table map[string]string, key string) (string, bool) {
	for pattern := range table {
		if ok, err := path.Match(pattern, key); err == nil && ok {
			return pattern, true
		}
	}
	return "", false
}
