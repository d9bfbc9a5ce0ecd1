package container

import (
	"reflect"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/rootless-containers/subuidless/internal/image/storedir"
)

// TestPlaceOf has the cases of docker-cp(1).
func TestPlaceOf(t *testing.T) {
	nothing, noParent := target{parentFound: true}, target{}
	file, dir := target{found: true, parentFound: true}, target{found: true, isDir: true, parentFound: true}
	for _, tt := range []struct {
		source string
		isDir  bool
		to     string
		t      target
		want   place // none: an error
	}{
		{"/a/f", false, "/b/g", nothing, place{"/b/", "g"}},
		{"/a/f", false, "g", nothing, place{".", "g"}},
		{"/a/f", false, "/b/g/", nothing, place{}},
		{"/a/f", false, "/b/g", noParent, place{}},
		{"/a/f", false, "/b/g", file, place{"/b/", "g"}},
		{"/a/f", false, "/b/g/", file, place{}},
		{"/a/f", false, "/b", dir, place{"/b", "f"}},
		{"/a/d", true, "/b/e", nothing, place{"/b/", "e"}},
		{"/a/d", true, "/b/e/", nothing, place{"/b/", "e"}},
		{"/a/d", true, "/b/e", file, place{}},
		{"/a/d", true, "/b", dir, place{"/b", "d"}},
		{"/a/d/.", true, "/b", dir, place{"/b", "."}},
		{"/a/d/.", true, "/b/e", nothing, place{"/b/", "e"}},
		{"/", true, "/b", dir, place{"/b", "."}},
	} {
		got, err := placeOf(tt.source, tt.to, tt.isDir, tt.t)
		if (err != nil) != (tt.want == place{}) || got != tt.want {
			t.Errorf("placeOf(%q, %q, %v, %+v) = %+v, %v; want %+v", tt.source, tt.to, tt.isDir, tt.t, got, err, tt.want)
		}
	}
}

func TestChange(t *testing.T) {
	c := &v1.Config{Env: []string{"A=1", "B=2"}, WorkingDir: "/w"}
	for _, text := range []string{
		`CMD ["a", "b c"]`, "entrypoint echo $A", `ENV A=3 C="x y"`, "ENV D old form", "LABEL k='v w' l=2", "EXPOSE 80 53/udp", `VOLUME ["/v"]`, "USER 1:2",
		"WORKDIR rel", "STOPSIGNAL SIGUSR1", "ONBUILD RUN x",
	} {
		if err := change(c, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	want := &v1.Config{
		Cmd: []string{"a", "b c"}, Entrypoint: []string{"/bin/sh", "-c", "echo $A"}, Env: []string{"B=2", "A=3", "C=x y", "D=old form"},
		Labels: map[string]string{"k": "v w", "l": "2"}, ExposedPorts: map[string]struct{}{"80/tcp": {}, "53/udp": {}}, Volumes: map[string]struct{}{"/v": {}},
		User: "1:2", WorkingDir: "/w/rel", StopSignal: "SIGUSR1", OnBuild: []string{"RUN x"},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, want %+v", c, want)
	}
	for _, text := range []string{"", "CMD", "RUN x", "ENV A", "LABEL a=1 b", "ENV A='1", "EXPOSE x", "EXPOSE 70000", "STOPSIGNAL X"} {
		if err := change(c, text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

func TestParseFilters(t *testing.T) {
	c := &storedir.Container{ID: "abc", Name: "web-1", Image: "img", Labels: map[string]string{"a": "1", "b": ""}}
	for _, tt := range []struct {
		filters []string
		want    bool
	}{
		{nil, true},
		{[]string{"name=web"}, true},
		{[]string{"name=db", "name=web"}, true},
		{[]string{"name=web", "id=x"}, false},
		{[]string{"label=a=1", "label=b"}, true},
		{[]string{"label=a=1", "label=c"}, false},
		{[]string{"status=created"}, true},
		{[]string{"status=running"}, false},
		{[]string{"ancestor=img", "health=none"}, true},
	} {
		f, _, err := ParseFilters(nil, tt.filters)
		if err != nil || f(c) != tt.want {
			t.Errorf("%q: %v, want %v", tt.filters, err, tt.want)
		}
	}
	for _, bad := range []string{"name", "no=x", "status=odd", "exited=x"} {
		if _, _, err := ParseFilters(nil, []string{bad}); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestHealthOver(t *testing.T) {
	image := &v1.HealthConfig{Test: []string{"CMD", "x"}, Interval: 5, Retries: 7}
	if got := (&Health{Retries: 1}).over(image); !slices.Equal(got.Test, image.Test) || got.Interval != 5 || got.Retries != 1 || got.Timeout != healthTimeout {
		t.Errorf("got %+v", got)
	}
	if got := (&Health{Command: "y"}).over(nil); got.Test[0] != "CMD-SHELL" || got.Test[1] != "y" || got.Interval != healthInterval {
		t.Errorf("got %+v", got)
	}
	for _, h := range []Health{{}, {Off: true, Command: "y"}} {
		if got := h.over(nil); got != nil {
			t.Errorf("%+v: got %+v", h, got)
		}
	}
	if got := new(Health).over(&v1.HealthConfig{Test: []string{"NONE"}}); got != nil {
		t.Errorf("NONE: got %+v", got)
	}
}
