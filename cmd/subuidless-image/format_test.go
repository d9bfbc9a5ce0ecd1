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
		"{{.Config.Labels.k}}": "w", "{{.Config.Cmd}}": "[a b c]", `{{json .Config.Labels}}`: `{"k":"w","k.x":"v"}`,
	} {
		var b strings.Builder
		if err := formatObject(&b, object, format); err != nil || b.String() != want+"\n" {
			t.Errorf("%s: %q, %v; want %q", format, b.String(), err, want)
		}
	}
	for _, format := range []string{"{{.Name", "{{.None}}", "{{range .X}}", "{{.Name.More}}", `{{index .Name "x"}}`, `{{.Name "x"}}`, "{{}}"} {
		if err := formatObject(new(strings.Builder), object, format); err == nil {
			t.Errorf("%s: no error", format)
		}
	}
}
