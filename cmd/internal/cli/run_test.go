package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestIsPath(t *testing.T) {
	for text, want := range map[string]bool{
		"/": true, "/x": true, ".": true, "..": true, "./x": true, "../x": true,
		"x": false, "x/y": false, ".x": false, "oci:./x": false, "": false,
	} {
		if IsPath(text) != want {
			t.Errorf("IsPath(%q) = %v", text, !want)
		}
	}
}

func TestRefusedFlags(t *testing.T) {
	for args, want := range map[string]string{
		"-p 80:80 x":      "unknown shorthand flag: 'p' in -p: " + ofNetwork,
		"-itp 80:80 x":    "unknown shorthand flag: 'p' in -p: " + ofNetwork,
		"--cap-add=ALL x": "unknown flag: --cap-add: " + ofRights,
		"--none x":        "unknown flag: --none",
	} {
		cmd := NewCreateCommand(func(*cobra.Command, *Run) error { return nil }, nil)
		cmd.SetArgs(strings.Fields(args))
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		if err := cmd.Execute(); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
	cmd := NewCreateCommand(nil, nil)
	for name := range refusedFlags {
		if cmd.Flags().Lookup(name) != nil || len(name) == 1 && cmd.Flags().ShorthandLookup(name) != nil {
			t.Errorf("%s is refused, and there is such a flag", name)
		}
	}
}
