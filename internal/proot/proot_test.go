package proot

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rootless-containers/subuidless/internal/launch"
)

func TestParseBind(t *testing.T) {
	t.Chdir("/usr")
	for spec, want := range map[string]launch.Bind{
		"/proc":          {Source: "/proc", Target: "/proc"},
		"/proc/:/a//b/.": {Source: "/proc", Target: "/a/b"},
		"bin":            {Source: "/usr/bin", Target: "/usr/bin"},
		"../etc:/x:y":    {Source: "/etc", Target: "/x:y"},
	} {
		if got, err := parseBind(spec); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", spec, got, err, want)
		}
	}
	for _, spec := range []string{"", ":/x", "/x:", "/x:y", "/x:/", "/x:/y/..", "/x:/y!"} {
		if got, err := parseBind(spec); err == nil {
			t.Errorf("%q: %+v", spec, got)
		}
	}
}

func TestView(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	root := filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	usual := []string{"/proc", "/nonexistent"}
	for _, test := range []struct {
		o    Options
		want launch.View
	}{
		{Options{Root: "/", Usual: usual, Binds: []string{"/proc"}}, launch.View{}},
		{Options{Root: "root", Usual: usual}, launch.View{Root: root, Dir: dir, Binds: []launch.Bind{{Source: "/proc", Target: "/proc"}}}},
		{Options{Dir: "/usr", Binds: []string{"root:/usr"}}, launch.View{Dir: "/usr", Binds: []launch.Bind{{Source: root, Target: "/usr"}}}},
	} {
		v, err := test.o.view()
		if err != nil || v.Root != test.want.Root || v.Dir != test.want.Dir || !slices.Equal(v.Binds, test.want.Binds) {
			t.Errorf("%+v: %+v, %v; want %+v", test.o, v, err, test.want)
		}
	}
	for _, o := range []Options{{Root: "nowhere"}, {Root: "/proc/self/status"}, {Dir: "root"}} {
		if v, err := o.view(); err == nil {
			t.Errorf("%+v: %+v", o, v)
		}
	}
}
