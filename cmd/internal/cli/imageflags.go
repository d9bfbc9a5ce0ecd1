package cli

import (
	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/internal/image/storedir"
)

// StoreFlags are the flags of all commands that use the store of images.
type StoreFlags struct {
	Root string // empty: storedir.Default
}

// Add adds the flags to a command.
func (f *StoreFlags) Add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.Root, "root", "", "`directory` of the store (default $XDG_DATA_HOME/subuidless or\n~/.local/share/subuidless)")
}

// Dir returns the directory of the store; "" if neither a flag nor the environment says where it
// is.
func (f *StoreFlags) Dir() string {
	if f.Root != "" {
		return f.Root
	}
	dir, _ := storedir.Default() // opening it reports the error
	return dir
}

// TransferFlags are the flags of the commands that transfer images.
type TransferFlags struct {
	Platform  string
	TLSVerify bool
	AuthFile  string
	Quiet     bool
}

// Add adds the flags to a command; platform says whether --platform is one of them.
func (f *TransferFlags) Add(cmd *cobra.Command, platform bool) {
	flags := cmd.Flags()
	if platform {
		flags.StringVar(&f.Platform, "platform", "", "choose the image for `OS/ARCH[/VARIANT]` (default that of this machine)")
	}
	flags.BoolVar(&f.TLSVerify, "tls-verify", true, "require registries to have a valid certificate; with =false, also accept HTTP")
	flags.StringVar(&f.AuthFile, "authfile", "", "`file` with the credentials for registries (default: see subuidless login --help)")
	flags.BoolVarP(&f.Quiet, "quiet", "q", false, "show no progress")
}
