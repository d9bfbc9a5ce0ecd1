package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/containerd/console"
	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
)

func newLoginCommand() *cobra.Command {
	var user, password string
	var passwordStdin bool
	var how cli.TransferFlags
	cmd := &cobra.Command{
		Use: "login [flags] [REGISTRY]",
		Long: `Check a user name and password with REGISTRY (default docker.io), and store them.

They are stored in the configuration of docker, $DOCKER_CONFIG/config.json or
~/.docker/config.json, or by the credential helper that it names. --authfile and
$REGISTRY_AUTH_FILE name another file. When pulling and pushing, subuidless also
uses what podman login has stored.`,
		Example: `  subuidless login --username me --password-stdin ghcr.io <token`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if password != "" && passwordStdin {
				return errors.New("login: use either --password or --password-stdin")
			}
			if err := askCredentials(&user, &password, passwordStdin); err != nil {
				return err
			}
			known, err := registries()
			if err != nil {
				return err
			}
			home, err := known.Home(registryOf(args))
			if err != nil {
				return err
			}
			ctx, stop := interruptible()
			defer stop()
			if err := transfer.Login(ctx, registryOf(args), user, password, how.AuthFile, home.Insecure || !how.TLSVerify); err != nil {
				return explainInterrupt(ctx, err, nothingChanged)
			}
			fmt.Fprintln(cmd.OutOrStdout(), "Login Succeeded")
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&user, "username", "u", "", "user `name`")
	flags.StringVarP(&password, "password", "p", "", "`password` (other users of the machine may see it: prefer --password-stdin)")
	flags.BoolVar(&passwordStdin, "password-stdin", false, "read the password from the standard input")
	flags.BoolVar(&how.TLSVerify, "tls-verify", true, "require a valid certificate; with =false, also accept HTTP")
	flags.StringVar(&how.AuthFile, "authfile", "", "`file` to store the credentials in")
	return cmd
}

func registryOf(args []string) string {
	if len(args) == 0 {
		return transfer.DockerHub
	}
	return strings.TrimSuffix(strings.TrimPrefix(args[0], "https://"), "/")
}

// askCredentials asks for what is missing.
func askCredentials(user, password *string, passwordStdin bool) error {
	in := bufio.NewReader(os.Stdin)
	if *user == "" {
		if passwordStdin {
			return errors.New("login: --password-stdin needs --username")
		}
		fmt.Fprint(os.Stderr, "Username: ")
		line, err := in.ReadString('\n')
		if err != nil {
			return fmt.Errorf("reading the user name: %w", err)
		}
		*user = strings.TrimSpace(line)
	}
	switch {
	case passwordStdin:
		b, err := io.ReadAll(in)
		if err != nil {
			return fmt.Errorf("reading the password: %w", err)
		}
		*password = strings.TrimRight(string(b), "\r\n")
	case *password == "":
		line, err := readSecret(in)
		if err != nil {
			return fmt.Errorf("reading the password: %w", err)
		}
		*password = strings.TrimRight(line, "\r\n")
	}
	if *user == "" || *password == "" {
		return errors.New("login: the user name and the password must not be empty")
	}
	return nil
}

// readSecret reads a line from a terminal that does not show it.
func readSecret(in *bufio.Reader) (string, error) {
	fmt.Fprint(os.Stderr, "Password: ")
	if terminal, err := console.ConsoleFromFile(os.Stdin); err == nil {
		if err := terminal.DisableEcho(); err != nil {
			return "", err
		}
		defer fmt.Fprintln(os.Stderr)
		defer terminal.Reset()
	}
	return in.ReadString('\n')
}

func newLogoutCommand() *cobra.Command {
	var authFile string
	var all bool
	cmd := &cobra.Command{
		Use:  "logout [flags] [REGISTRY]",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			registry := registryOf(args)
			if all {
				registry = ""
			}
			removed, err := transfer.Logout(context.Background(), registry, authFile)
			if err != nil {
				return err
			}
			for _, host := range removed {
				fmt.Fprintln(cmd.OutOrStdout(), "Removed login credentials for", host)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&authFile, "authfile", "", "`file` with the credentials")
	cmd.Flags().BoolVarP(&all, "all", "a", false, "remove the credentials for all registries")
	return cmd
}
