package launch

import (
	"slices"
	"testing"
)

func TestEnvironment(t *testing.T) {
	caller := map[string]string{"TERM": "xterm", "LANG": "C.UTF-8", "SECRET": "x"}
	lookup := func(name string) (string, bool) { v, ok := caller[name]; return v, ok }
	for _, tc := range []struct {
		name        string
		vars        []string
		interactive bool
		want        []string
	}{
		{"nothing of the caller", nil, false, []string{"PATH=" + defaultPath, "HOME=/root"}},
		{"TERM of a terminal", nil, true, []string{"PATH=" + defaultPath, "HOME=/root", "TERM=xterm"}},
		{"added", []string{"A=b", "EMPTY=", "X=1=2"}, false, []string{"PATH=" + defaultPath, "HOME=/root", "A=b", "EMPTY=", "X=1=2"}},
		{"passed through", []string{"LANG", "UNSET"}, false, []string{"PATH=" + defaultPath, "HOME=/root", "LANG=C.UTF-8"}},
		{"the last value wins", []string{"PATH=/a", "PATH=/b"}, false, []string{"HOME=/root", "PATH=/b"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := environment(tc.vars, "/root", tc.interactive, lookup)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	for _, bad := range []string{"", "=x"} {
		if got, err := environment([]string{bad}, "/", false, lookup); err == nil {
			t.Errorf("environment(%q) = %q, want an error", bad, got)
		}
	}
}
