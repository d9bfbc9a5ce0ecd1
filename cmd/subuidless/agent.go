package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/agent"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

func newAgentCommand() *cobra.Command {
	var cfg supervisor.Config
	level := slog.LevelInfo
	cmd := &cobra.Command{
		Use:   "agent [SOCKET]",
		Short: "Serve the containers of crun, runc, podman and others on a socket",
		Long: `Listen on SOCKET for OCI runtimes, and supervise each container that they
start. The containers outlive the agent: they can go on when it ends, and their
further processes are taken on when it is back.

SOCKET is $XDG_RUNTIME_DIR/subuidless.sock if it is not given, or
~/.subuidless.sock without XDG_RUNTIME_DIR. A socket that systemd passes is
used, too.`,
		Example: `  subuidless agent ~/.subuidless.sock`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
			if err := makeAbsolute(&cfg.Trace, &cfg.Sidecar); err != nil {
				return err
			}
			return runAgent(&agent.Agent{Log: log, Trace: cfg.Trace, Sidecar: cfg.Sidecar, NoPermissions: cfg.NoPermissions}, strings.Join(args, ""))
		},
	}
	supervisorFlags(cmd, &cfg)
	cmd.Flags().TextVar(&level, "log-level", level, "what to log: debug, info, warn or error")
	return cmd
}

// runAgent serves until SIGTERM or SIGINT.
func runAgent(a *agent.Agent, path string) (err error) {
	socket, err := agent.Listen(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, socket.Unlock()) }()
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	if _, err := fmt.Printf("Listening on %s\n", socket.Addr()); err != nil {
		return errors.Join(err, socket.Close())
	}
	a.KeeperDir = socket.KeeperDir
	return a.Serve(ctx, socket)
}

// withAgent completes the arguments of the short form subuidless SOCKET. A
// command has neither a slash in its name nor the suffix.
func withAgent(args []string) []string {
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") && (strings.Contains(args[0], "/") || strings.HasSuffix(args[0], ".sock")) {
		return append([]string{"agent"}, args...)
	}
	return args
}
