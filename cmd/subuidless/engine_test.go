package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/rootless-containers/subuidless/internal/session"
)

func TestCutFlags(t *testing.T) {
	for _, tt := range []struct{ args, name, accelerate, rest string }{
		{"", session.DefaultName, "auto", ""},
		{"ps -a", session.DefaultName, "auto", "ps -a"},
		{"--session x ps -a", "x", "auto", "ps -a"},
		{"--session=x ps", "x", "auto", "ps"},
		{"--session= ps", "", "auto", "ps"}, // not a valid name
		{"run image --session x", session.DefaultName, "auto", "run image --session x"},
		{"--sessions x", session.DefaultName, "auto", "--sessions x"},
		{"--accelerate on ps", session.DefaultName, "on", "ps"},
		{"--accelerate=off --session=x --log-level debug ps --session y", "x", "off", "--log-level debug ps --session y"},
		{"--session x --session y --help", "y", "auto", "--help"},
		{"-- --session x", session.DefaultName, "auto", "-- --session x"},
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
