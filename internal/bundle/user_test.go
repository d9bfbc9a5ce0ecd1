package bundle

import (
	"reflect"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// A user that is not mapped moves to the annotation.
func TestRewriteUser(t *testing.T) {
	config := strings.Replace(defaultSpec(t), `"uid": 0,`, `"uid": 1000, "additionalGids": [7, 100],`, 1)
	text, spec := rewrite(t, config, testOptions)
	if got := (specs.User{}); !reflect.DeepEqual(spec.Process.User, got) {
		t.Errorf("the runtime starts the process as %+v, want the mapped user", spec.Process.User)
	}
	user, err := AnnotatedUser(spec.Annotations)
	want := &specs.User{UID: 1000, AdditionalGids: []uint32{7, 100}}
	if err != nil || !reflect.DeepEqual(user, want) {
		t.Errorf("the annotation is %+v, %v; want %+v", user, err, want)
	}
	if again, _ := rewrite(t, text, testOptions); again != text {
		t.Errorf("rewriting again gives\n%s\nfor\n%s", again, text)
	}
}

// No process can have the id -1.
func TestCheckUser(t *testing.T) {
	const largest, none = 4294967294, 4294967295
	for _, tt := range []struct {
		user  specs.User
		valid bool
	}{
		{specs.User{}, true},
		{specs.User{UID: largest, GID: largest, AdditionalGids: []uint32{largest}}, true},
		{specs.User{UID: none}, false},
		{specs.User{GID: none}, false},
		{specs.User{AdditionalGids: []uint32{1, none}}, false},
	} {
		if err := CheckUser(tt.user); (err == nil) != tt.valid {
			t.Errorf("%+v: %v", tt.user, err)
		}
	}
	process := `{"user": {"uid": 4294967295, "gid": 0}}`
	if _, _, err := RewriteProcess([]byte(process), nil); err == nil {
		t.Errorf("no error for %s", process)
	}
}

func TestRewriteRoot(t *testing.T) {
	_, spec := rewrite(t, defaultSpec(t), testOptions)
	if user, err := AnnotatedUser(spec.Annotations); user != nil || err != nil {
		t.Errorf("the annotation of root is %+v, %v; want none", user, err)
	}
}

func TestAnnotatedUserIsMalformed(t *testing.T) {
	for _, text := range []string{"", "1000", `{"uid": -1}`, `{"uid": "root"}`} {
		if user, err := AnnotatedUser(map[string]string{UserAnnotation: text}); err == nil {
			t.Errorf("%q: %+v, want an error", text, user)
		}
	}
}
