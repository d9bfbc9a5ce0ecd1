package main

import (
	"maps"
	"slices"
	"testing"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
)

// The main program's help lists the commands that there are.
func TestCommands(t *testing.T) {
	var listed []string
	for _, c := range cli.ImageCommands {
		listed = append(listed, c.Name)
	}
	if got := slices.Sorted(maps.Keys(commands)); !slices.Equal(got, listed) {
		t.Fatalf("the commands are %q, and cli.ImageCommands has %q", got, listed)
	}
	for name, command := range commands {
		if got := command().Name(); got != name {
			t.Errorf("the command %s is named %s", name, got)
		}
	}
}
