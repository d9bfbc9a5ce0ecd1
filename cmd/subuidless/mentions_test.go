package main

import (
	"testing"

	"github.com/rootless-containers/subuidless/cmd/internal/clitest"
)

func TestMentions(t *testing.T) {
	root := newRootCommand("")
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	clitest.Mentions(t, root, func(string) bool { return true })
}
