package main

import (
	"testing"

	"github.com/rootless-containers/subuidless/cmd/internal/clitest"
)

func TestMentions(t *testing.T) {
	clitest.Mentions(t, newRootCommand(), func(name string) bool { _, mine := commands[name]; return mine })
}
