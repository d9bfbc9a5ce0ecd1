package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/bundle"
	"github.com/rootless-containers/subuidless/internal/syscalls"
)

// engineProfiles are the files from which podman and buildah read their default profile.
var engineProfiles = []string{"/etc/containers/seccomp.json", "/usr/share/containers/seccomp.json"}

// emptyProfile denies nothing.
const emptyProfile = "{\n\t\"defaultAction\": \"SCMP_ACT_ALLOW\"\n}\n"

func newProfileCommand() *cobra.Command {
	var socket, from string
	var noPermissions bool
	cmd := &cobra.Command{
		Use:     "profile",
		GroupID: cli.GroupRuntime,
		Short:   "Write a seccomp profile with which podman's containers use the agent",
		Long: `Write to standard output a seccomp profile for podman, buildah and docker, with
which plain "podman run" and "podman exec" start containers that the agent
supervises. It is the profile of --from, or podman's own, with rules that send
emulated system calls to the agent; what the profile denies stays denied.

Name the file in containers.conf (seccomp_profile), or with
--security-opt seccomp=FILE.`,
		Example: `  subuidless profile --socket ~/.subuidless.sock > ~/.config/containers/subuidless.json`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cli.MakeAbsolute(&socket); err != nil {
				return err
			}
			rows := syscalls.Rows()
			if noPermissions {
				rows = syscalls.WithoutPermissions(rows)
			}
			text, name, err := readProfile(from)
			if err != nil {
				return err
			}
			profile, err := bundle.EngineProfile(text, socket, rows)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			_, err = cmd.OutOrStdout().Write(profile)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&socket, "socket", "", "`path` of the agent's socket (required by runc; crun can also get it from an annotation\nor a variable)")
	flags.StringVar(&from, "from", "", "the profile to start from, a `file` (default podman's own in /etc/containers or\n/usr/share/containers, or one that denies nothing)")
	cli.AddPermissionsFlag(cmd, &noPermissions, "enforce file permissions for non-root users (off is faster);\npass the same value to the agent")
	return cmd
}

// readProfile returns the profile in the file from, or podman's own if from is empty, and its
// name.
func readProfile(from string) (text []byte, name string, err error) {
	if from != "" {
		text, err = os.ReadFile(from)
		return text, from, err
	}
	for _, name := range engineProfiles {
		text, err := os.ReadFile(name)
		if !errors.Is(err, fs.ErrNotExist) {
			return text, name, err
		}
	}
	return []byte(emptyProfile), "the empty profile", nil
}
