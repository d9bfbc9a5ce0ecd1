package main

import (
	"flag"
	"slices"
	"testing"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/cmd/internal/clitest"
)

var manDir = flag.String("man", "", "write the man pages of the main program to `DIR`, as a release does")

// TestManPages generates the man pages of the commands of this program, from their help.
func TestManPages(t *testing.T) {
	root := newRootCommand("")
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	clitest.ManPages(t, root, *manDir, func(cmd *cobra.Command) bool {
		return !slices.ContainsFunc(cli.ImageCommands, func(c cli.ImageCommand) bool { return c.Name == cmd.Name() })
	})
}
