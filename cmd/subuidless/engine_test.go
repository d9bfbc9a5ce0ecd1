package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/rootless-containers/subuidless/internal/session"
)

func TestCutFlags(t *testing.T) {
	for _, tt := range []struct{ args, name, accelerate, rest string }{
		{"", session.DefaultName, "off", ""},
		{"ps -a", session.DefaultName, "off", "ps -a"},
		{"--session x ps -a", "x", "off", "ps -a"},
		{"--session=x ps", "x", "off", "ps"},
		{"--session= ps", "", "off", "ps"}, // not a valid name
		{"run image --session x", session.DefaultName, "off", "run image --session x"},
		{"--sessions x", session.DefaultName, "off", "--sessions x"},
		{"--accelerate on ps", session.DefaultName, "on", "ps"},
		{"--accelerate=auto --session=x --log-level debug ps --session y", "x", "auto", "--log-level debug ps --session y"},
		{"--session x --session y --help", "y", "off", "--help"},
		{"-- --session x", session.DefaultName, "off", "-- --session x"},
	} {
		flags := newPodmanCommand().Flags()
		rest, err := cutFlags(flags, strings.Fields(tt.args))
		name, accelerate := flags.Lookup("session").Value.String(), flags.Lookup("accelerate").Value.String()
		if err != nil || name != tt.name || accelerate != tt.accelerate || !slices.Equal(rest, strings.Fields(tt.rest)) {
			t.Errorf("%q: %q, %q, %q, %v", tt.args, name, accelerate, rest, err)
		}
	}
	for _, args := range []string{"--session", "--accelerate", "--accelerate=maybe ps"} {
		if _, err := cutFlags(newPodmanCommand().Flags(), strings.Fields(args)); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
