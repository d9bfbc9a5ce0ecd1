package main

import (
	"slices"
	"strings"
	"testing"
)

func TestCutSession(t *testing.T) {
	for _, tt := range []struct{ args, name, rest string }{
		{"", "default", ""},
		{"ps -a", "default", "ps -a"},
		{"--session x ps -a", "x", "ps -a"},
		{"--session=x ps", "x", "ps"},
		{"--session= ps", "", "ps"}, // not a valid name
		{"run image --session x", "default", "run image --session x"},
		{"--sessions x", "default", "--sessions x"},
	} {
		name, rest, err := cutSession(strings.Fields(tt.args))
		if err != nil || name != tt.name || !slices.Equal(rest, strings.Fields(tt.rest)) {
			t.Errorf("%q: %q, %q, %v", tt.args, name, rest, err)
		}
	}
	if _, _, err := cutSession([]string{"--session"}); err == nil {
		t.Error("no error without a name")
	}
}
