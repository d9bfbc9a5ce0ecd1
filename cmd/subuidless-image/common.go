package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootless-containers/subuidless/cmd/internal/cli"
	"github.com/rootless-containers/subuidless/internal/image/container"
	"github.com/rootless-containers/subuidless/internal/image/reference"
	"github.com/rootless-containers/subuidless/internal/image/store"
	"github.com/rootless-containers/subuidless/internal/image/storedir"
	"github.com/rootless-containers/subuidless/internal/image/transfer"
	"github.com/rootless-containers/subuidless/internal/isolation"
)

// openStore opens the store.
func openStore(f cli.StoreFlags) (*store.Store, error) {
	dir := f.Root
	if dir == "" {
		var err error
		if dir, err = storedir.Default(); err != nil {
			return nil, err
		}
	}
	s, err := store.Open(dir)
	if err != nil {
		return nil, err
	}
	return s, s.CheckOwners(isolation.Current() == isolation.Chroot)
}

// registries reads what the user and the system say about registries.
func registries() (*reference.Registries, error) {
	config, err := os.UserConfigDir()
	if err != nil { // neither HOME nor XDG_CONFIG_HOME is set
		config = os.DevNull
	}
	return reference.ReadRegistries("/etc", config)
}

// findContainer opens the store, and returns its container with the name or id.
func findContainer(f cli.StoreFlags, name string) (*store.Container, error) {
	s, err := openStore(f)
	if err != nil {
		return nil, err
	}
	return s.FindContainer(name)
}

// openStoreAndRegistries is openStore and registries.
func openStoreAndRegistries(f cli.StoreFlags) (*store.Store, *reference.Registries, error) {
	s, err := openStore(f)
	if err != nil {
		return nil, nil, err
	}
	known, err := registries()
	return s, known, err
}

// transferOptions returns the options for a transfer.
func transferOptions(f cli.TransferFlags, known *reference.Registries) transfer.Options {
	return transfer.Options{
		Registries: known,
		Platform:   f.Platform, Insecure: !f.TLSVerify, AuthFile: f.AuthFile,
		Progress: transfer.NewProgress(os.Stderr, f.Quiet),
		Warn:     func(message string) { fmt.Fprintln(os.Stderr, "subuidless: warning:", message) },
	}
}

// printDamaged names images or containers that cannot be read, which a list leaves out.
func printDamaged[E error](damaged []E) {
	for _, d := range damaged {
		fmt.Fprintln(os.Stderr, "subuidless: warning:", d)
	}
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
	return container.Duration(time.Since(t)) + " ago"
}

// imageNames completes the names of images.
func imageNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	s, err := openStore(cli.StoreFlags{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	images, damaged, err := s.Images()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	for _, d := range damaged { // for rmi
		images = append(images, d.Image)
	}
	var names []string
	for _, i := range images {
		if i.Name != "" {
			names = append(names, i.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
