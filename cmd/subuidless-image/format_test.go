package main

import (
	"strings"
	"testing"
)

func TestFormatObject(t *testing.T) {
	object := &struct {
		Name   string
		Config struct {
			User   string
			Cmd    []string
			Labels map[string]string
		}
	}{Name: "n"}
	object.Config.User, object.Config.Cmd = "33:33", []string{"a", "b c"}
	object.Config.Labels = map[string]string{"k.x": "v", "k": "w"}
	for format, want := range map[string]string{
		"plain": "plain", "{{.Name}}": "n", "{{ .Name }}={{.Config.User}}!": "n=33:33!",
		"{{json .Config.Cmd}}": `["a","b c"]`, `{{index .Config.Labels "k.x"}}`: "v", `{{index .Config.Labels "none"}}`: "",
		"{{.Config.Labels.k}}": "w", "{{.Config.Labels.none}}": "", `{{range .Config.Cmd}}<{{.}}>{{end}}`: "<a><b c>",
		`{{if eq .Name "n"}}yes{{else}}no{{end}}`: "yes", `{{join .Config.Cmd ","}} {{upper .Name}} {{title "ab"}} {{truncate "abc" 2}}`: "a,b c N Ab ab",
		"{{.Config.Cmd}}": "[a b c]", `{{json .Config.Labels}}`: `{"k":"w","k.x":"v"}`,
	} {
		var b strings.Builder
		if err := formatObject(&b, object, format); err != nil || b.String() != want+"\n" {
			t.Errorf("%s: %q, %v; want %q", format, b.String(), err, want)
		}
	}
	for _, format := range []string{"{{.Name", "{{.None}}", "{{range .X}}", "{{.Name.More}}", `{{index .Name "x"}}`, `{{.Name "x"}}`, "{{}}", "{{none .Name}}"} {
		if err := formatObject(new(strings.Builder), object, format); err == nil {
			t.Errorf("%s: no error", format)
		}
	}
}

func TestFormatList(t *testing.T) {
	rows := []struct{ ID, Name string }{{"1", "one"}, {"22", "two"}}
	for format, want := range map[string]string{
		"{{.ID}}:{{.Name}}":        "1:one\n22:two\n",
		`table {{.ID}}\t{{.Name}}`: "THE ID   NAME\n1        one\n22       two\n",
		"table {{upper .Name}}":    "NAME\nONE\nTWO\n",
		"{{json .}}":               `{"ID":"1","Name":"one"}` + "\n" + `{"ID":"22","Name":"two"}` + "\n",
	} {
		var b strings.Builder
		if err := formatList(&b, rows, format, map[string]string{"ID": "THE ID"}); err != nil || b.String() != want {
			t.Errorf("%s: %q, %v; want %q", format, b.String(), err, want)
		}
	}
	if err := formatList(new(strings.Builder), rows[:0], "{{.ID", nil); err == nil {
		t.Error("a wrong template is no error if the list is empty")
	}
}

func TestMatchesReference(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"alpine", "docker.io/library/alpine:latest", true},
		{"alpine:3*", "docker.io/library/alpine:latest", false},
		{"library/*:latest", "docker.io/library/alpine:latest", true},
		{"docker.io/*/*", "docker.io/library/alpine:latest", true},
		{"*", "docker.io/library/alpine:latest", true},
		{"*", "ghcr.io/a/b:1", false},
		{"ghcr.io/a/*", "ghcr.io/a/b:1", true},
		{"*", "", false},
	} {
		if got := matchesReference(tt.pattern, tt.name); got != tt.want {
			t.Errorf("%s, %s: %v", tt.pattern, tt.name, got)
		}
	}
}
