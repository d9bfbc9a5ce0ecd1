package test

import (
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// podDifferent are further differences in a pod, by cases, as in their sections "different".
var podDifferent = map[string]map[string]string{
	"run_mount_bind": {"/out": "without mounts, nothing is read-only"},
}

// TestPod compares what subuidless has done in an ordinary pod, where user namespaces are
// forbidden (see podAsRoot), with testdata/pod/commands.out, and the images that it has built and
// pushed there with those that buildah builds as real root.
func TestPod(t *testing.T) {
	needs(t, "root", "buildah", "busybox", "crun")
	want, err := os.ReadFile(work("testdata", "pod", "commands.out"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(work("expected", "pod", "commands"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("commands.sh prints something else (-want +got):\n%s\n%s", diff, got)
	}
	everywhere := map[string]string{}
	common, err := os.ReadFile(work("testdata", "build", "differences"))
	if err == nil {
		err = parseDifferences(everywhere, string(common))
	}
	if err != nil {
		t.Fatal(err)
	}
	cases, err := readBuildCases(work("testdata", "build"))
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for i := range cases {
		c := &cases[i]
		if _, err := os.Stat(work("expected", "pod", c.name)); err != nil {
			continue
		}
		compared++
		t.Run(c.name, func(t *testing.T) {
			want, got := described{}, described{}
			if err := readJSON(work("expected", "build", c.name), &want); err != nil {
				t.Fatal(err)
			}
			if err := readJSON(work("expected", "pod", c.name), &got); err != nil {
				t.Fatal(err)
			}
			for key, value := range c.want {
				if got[key] != value {
					t.Errorf("%s\n\there: %s\n\twant: %s", key, orNone(got[key]), value)
				}
			}
			maps.Copy(c.different, podDifferent[c.name])
			compareBuilds(t, got, want, c.different, everywhere)
		})
	}
	if compared != len(podCases) {
		t.Errorf("%d cases have been compared, want %d", compared, len(podCases))
	}
}
