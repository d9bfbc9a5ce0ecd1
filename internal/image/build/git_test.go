package build

import "testing"

func TestParseGit(t *testing.T) {
	for text, want := range map[string]gitSource{
		"https://example.org/x.git":            {"https://example.org/x.git", "", ""},
		"https://example.org/x.git#main":       {"https://example.org/x.git", "main", ""},
		"https://example.org/x.git#v1:a/b":     {"https://example.org/x.git", "v1", "a/b"},
		"git://example.org/x#:/a/../../b/":     {"git://example.org/x", "", "b"},
		"git@example.org:me/x.git#main":        {"git@example.org:me/x.git", "main", ""},
		"me@example.org:x":                     {"me@example.org:x", "", ""},
		"ssh://git@example.org:22/x":           {"ssh://git@example.org:22/x", "", ""},
		"github.com/me/x#main":                 {"https://github.com/me/x", "main", ""},
		"file:///srv/x.git":                    {"file:///srv/x.git", "", ""},
		".":                                    {},
		"a:b":                                  {},
		"dir/x.git":                            {},
		"https://example.org/context.tar.gz":   {},
		"https://example.org/Dockerfile#x.git": {},
	} {
		got, ok, err := parseGit(text)
		if err != nil || got != want || ok != (want != gitSource{}) {
			t.Errorf("%s: %+v, %v, %v; want %+v", text, got, ok, err, want)
		}
	}
	if _, _, err := parseGit("https://example.org/x.git#--upload-pack=x"); err == nil {
		t.Error("an option as the reference is accepted")
	}
}
