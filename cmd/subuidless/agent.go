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

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/agent"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

func newAgentCommand() *cobra.Command {
	var cfg supervisor.Config
	level := slog.LevelInfo
	cmd := &cobra.Command{
		Use:     "agent [SOCKET]",
		GroupID: cli.GroupRuntime,
		Short:   "Supervise the containers of crun, runc, podman and other OCI runtimes",
		Long: `Listen on SOCKET as the seccomp agent of OCI runtimes, and supervise each
container that they start. Containers do not depend on the agent: they keep
running when the agent stops; once it is back, it also supervises new processes
started in them.

SOCKET defaults to $XDG_RUNTIME_DIR/subuidless.sock, or to ~/.subuidless.sock if
XDG_RUNTIME_DIR is not set. If systemd passes a socket (socket activation), the
agent uses that one, and SOCKET must be omitted or be its path. The short form
"subuidless SOCKET" also starts the agent, if SOCKET contains a slash or ends in
.sock.`,
		Example: `  subuidless agent ~/.subuidless.sock`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
			if err := cli.MakeAbsolute(&cfg.Trace, &cfg.Sidecar); err != nil {
				return err
			}
			return runAgent(log, cfg, strings.Join(args, ""))
		},
	}
	cli.AddSupervisorFlags(cmd, &cfg)
	cmd.Flags().TextVar(&level, "log-level", level, "lowest `level` of the messages to log: debug, info, warn or error")
	return cmd
}

// runAgent serves the socket path until SIGTERM or SIGINT. An empty path means the one
// that agent.Listen chooses.
func runAgent(log *slog.Logger, cfg supervisor.Config, path string) (err error) {
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
	a := &agent.Agent{
		Log:           log,
		KeeperDir:     socket.KeeperDir,
		Trace:         cfg.Trace,
		Sidecar:       cfg.Sidecar,
		NoPermissions: cfg.NoPermissions,
		Deputy:        true,
	}
	if err := a.Watch(); err != nil {
		log.Warn("cannot watch the containers of an earlier agent", "err", err)
	}
	return a.Serve(ctx, socket)
}

// expandShortForm turns the arguments of "subuidless SOCKET" into those of "subuidless
// agent SOCKET". No command has a slash or the suffix .sock in its name.
func expandShortForm(args []string) []string {
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") && (strings.Contains(args[0], "/") || strings.HasSuffix(args[0], ".sock")) {
		return append([]string{"agent"}, args...)
	}
	return args
}
