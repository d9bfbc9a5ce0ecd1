package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
)

// storeFlags are the flags of all commands that use the store of images.
type storeFlags struct{ root string }

func (f *storeFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.root, "root", "", "`directory` of the store (default $XDG_DATA_HOME/subuidless or\n~/.local/share/subuidless)")
}

// open opens the store.
func (f *storeFlags) open() (*store.Store, error) {
	dir := f.root
	if dir == "" {
		var err error
		if dir, err = store.DefaultDir(); err != nil {
			return nil, err
		}
	}
	return store.Open(dir)
}

// registries reads what the user and the system say about registries.
func registries() (*reference.Registries, error) {
	config, err := os.UserConfigDir()
	if err != nil { // neither HOME nor XDG_CONFIG_HOME is set
		config = os.DevNull
	}
	return reference.ReadRegistries("/etc", config)
}

// transferFlags are the flags of the commands that transfer images.
type transferFlags struct {
	platform  string
	tlsVerify bool
	authFile  string
	quiet     bool
}

func (f *transferFlags) add(cmd *cobra.Command, platform bool) {
	flags := cmd.Flags()
	if platform {
		flags.StringVar(&f.platform, "platform", "", "choose the image for `OS/ARCH[/VARIANT]` (default that of this machine)")
	}
	flags.BoolVar(&f.tlsVerify, "tls-verify", true, "require registries to have a valid certificate; with =false, also accept HTTP")
	flags.StringVar(&f.authFile, "authfile", "", "`file` with the credentials for registries (default: see subuidless login --help)")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "show no progress")
}

// options returns the options for a transfer.
func (f *transferFlags) options() transfer.Options {
	return transfer.Options{
		Platform: f.platform, Insecure: !f.tlsVerify, AuthFile: f.authFile,
		Progress: transfer.NewProgress(os.Stderr, f.quiet),
		Warn:     func(message string) { fmt.Fprintln(os.Stderr, "subuidless: warning:", message) },
	}
}

// interruptible returns a context that ends with SIGINT, SIGTERM or SIGHUP.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
}

// explainInterrupt returns err, or that the user has interrupted the command.
func explainInterrupt(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return errors.New("interrupted; nothing has changed, and what has been fetched is used the next time")
	}
	return err
}

// printWaiting says why a command waits.
func printWaiting() {
	fmt.Fprintln(os.Stderr, "subuidless: waiting for other commands that use the store")
}

// ago returns how long ago t was, as docker prints it.
func ago(t time.Time) string {
	if t.Unix() <= 0 {
		return "-"
	}
	d := time.Since(t)
	for _, u := range []struct {
		unit time.Duration
		name string
	}{
		{365 * 24 * time.Hour, "year"}, {30 * 24 * time.Hour, "month"}, {7 * 24 * time.Hour, "week"},
		{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"},
	} {
		switch n := d / u.unit; {
		case n == 1:
			return "1 " + u.name + " ago"
		case n > 1:
			return fmt.Sprintf("%d %ss ago", n, u.name)
		}
	}
	return "now"
}

// imageNames completes the names of images.
func imageNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	s, err := new(storeFlags).open()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	images, err := s.Images()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, i := range images {
		if i.Name != "" {
			names = append(names, i.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
