package main

import (
	"flag"
	"testing"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/clitest"
)

var manDir = flag.String("man", "", "write the man pages of the image program to `DIR`, as a release does")

// TestManPages generates the man pages of the commands of this program, from their help. Those
// of the root command and of run are the main program's.
func TestManPages(t *testing.T) {
	clitest.ManPages(t, newRootCommand(), *manDir, func(cmd *cobra.Command) bool { return cmd.Name() != "run" && cmd.HasParent() })
}
