package test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCgroups compares what containers with limits have done in a cgroup of the user (see limitsAsRoot)
// with testdata/limits/commands.out, section by section.
func TestCgroups(t *testing.T) {
	needs(t, "root", "busybox", "systemd")
	sections := func(file string) map[string]string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]string{}
		for part := range strings.SplitSeq("\n"+string(text), "\n== ") {
			name, content, _ := strings.Cut(part, "\n")
			all[name] = content
		}
		return all
	}
	want, got := sections(work("testdata", "limits", "commands.out")), sections(work("expected", "limits"))
	for name := range got {
		if _, known := want[name]; !known {
			t.Errorf("there is a further section %q:\n%s", name, got[name])
		}
	}
	for name, text := range want {
		t.Run("section "+name, func(t *testing.T) {
			if strings.TrimSpace(got[name]) == "not available" {
				t.Skip("this machine does not have this controller in version 2")
			}
			if diff := cmp.Diff(strings.Split(strings.TrimSpace(text), "\n"), strings.Split(strings.TrimSpace(got[name]), "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
