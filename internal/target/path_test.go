package target

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestNamesSelf(t *testing.T) {
	for path, want := range map[string]bool{
		"/proc/self":                    true,
		"/proc/self/fd/1":               true,
		"/proc/thread-self/fd/1":        true,
		"/proc/self/":                   true,
		"self":                          true,
		"self/fd/1":                     true,
		"thread-self":                   true,
		"../proc/self":                  true,
		"/mnt/proc/self/cwd":            true,
		"/proc/itself/self":             true,
		"/selfish/self":                 true,
		"//proc//self//fd":              true,
		"/dev/stdin":                    true,
		"/dev/stdout":                   true,
		"/dev/stderr":                   true,
		"/dev/fd":                       true,
		"/dev/fd/3":                     true,
		"":                              false,
		"/":                             false,
		"/proc/1/fd/1":                  false,
		"/proc/itself":                  false,
		"/proc/selfie":                  false,
		"/proc/selfie/fd":               false,
		"/home/thread-selfish":          false,
		"/home/a-self":                  false,
		"/home/my-thread-self":          false,
		"/proc/self.txt":                false,
		"/dev/null":                     false,
		"/var/log/nginx/access.log":     false,
		"/usr/share/doc/bash/README.gz": false,
	} {
		if got := namesSelf([]byte(path)); got != want {
			t.Errorf("namesSelf(%q) = %v, want %v", path, got, want)
		}
	}
}

func TestNextComponent(t *testing.T) {
	type step struct {
		Name string
		More bool
	}
	for path, want := range map[string][]step{
		"":            nil,
		"/":           nil,
		"//":          nil,
		"a":           {{"a", false}},
		"/a":          {{"a", false}},
		"a/":          {{"a", true}},
		"a//":         {{"a", true}},
		"/a/b":        {{"a", true}, {"b", false}},
		"a//b/c":      {{"a", true}, {"b", true}, {"c", false}},
		"///a///b///": {{"a", true}, {"b", true}},
		"./..":        {{".", true}, {"..", false}},
	} {
		var got []step
		var task Task
		for rest := []byte(path); task.nextComponent(&rest); {
			got = append(got, step{unix.ByteSliceToString(task.component[:]), len(rest) > 0})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", path, diff)
		}
	}
}
