package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/internal/launch"
)

// ExitFlagError reports a wrong flag, and exits with StatusFailed: any other status could
// be that of the command to run.
func ExitFlagError(cmd *cobra.Command, err error) error {
	name := strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
	Exit(launch.StatusFailed, fmt.Errorf("%s: %w; see subuidless %[1]s --help", name, err))
	return nil
}

// Exit prints err, if there is one, and exits with the status of the command that
// subuidless ran.
func Exit(status int, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "subuidless:", err)
	}
	os.Exit(status)
}
