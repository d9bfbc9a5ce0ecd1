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
		"-P x":                   "unknown shorthand flag: 'P' in -P: " + ofNetwork,
		"-itP x":                 "unknown shorthand flag: 'P' in -P: " + ofNetwork,
		"--privileged x":         "unknown flag: --privileged: " + ofRights,
		"--none x":               "unknown flag: --none",
		"-p 80 x":                `invalid argument "80" for "-p, --publish" flag: a container has the network of the host, whose ports are not chosen at random: give 80:80`,
		"-p 81:80 x":             `invalid argument "81:80" for "-p, --publish" flag: a container has the network of the host, so both ports must be the same: give 80:80, or let its program listen on port 81`,
		"-p 1.2.3.4:8:8 x":       `invalid argument "1.2.3.4:8:8" for "-p, --publish" flag: a container has the network of the host, so the addresses are those on which its programs listen: give PORT:PORT`,
		"--cap-add=CHOWM x":      `invalid argument "CHOWM" for "--cap-add" flag: "CHOWM": must be ALL or one of capabilities(7)`,
		"--device /dev/null:r x": `invalid argument "/dev/null:r" for "--device" flag: the access "r": must be rw or rwm, because less needs a device cgroup, which only root can set`,
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
