package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/rootless-containers/subuidless/internal/filter"
	"github.com/rootless-containers/subuidless/internal/syscalls"
)

// The C sources have their own directory, because a Go package without cgo must not
// contain any.
//
//go:embed c/*.c
var cSources embed.FS

// binPrograms are the files in the bin directory, besides the binaries of -compare.
var binPrograms = []string{"subuidless", "bench", "bare", "micro", "filter", "bare.c", "micro.c"}

// buildPrograms fills the bin directory with the programs of the selected columns and rows.
func buildPrograms(ctx context.Context, w workdir, o options) error {
	for _, c := range o.compare {
		if err := copyFile(filepath.Join(w.bin(), c.name), c.binary, 0o755); err != nil {
			return fmt.Errorf("-compare: %w", err)
		}
	}
	if o.columns.matches(columnSubuidless) || o.columns.matches(columnUnchecked) || o.columns.matches(columnNotified) {
		if err := provideSubuidless(ctx, w, o.subuidless); err != nil {
			return err
		}
	}
	if missing("gcc") != "" {
		return nil // the second stage reports what it skips
	}
	for _, name := range []string{"bare", "micro"} {
		if err := compileC(ctx, w, name); err != nil {
			return err
		}
	}
	return writeFilter(filepath.Join(w.bin(), "filter"))
}

// writeFilter writes subuidless's own filter, as struct sock_filter, for the bare round
// trip.
func writeFilter(name string) error {
	program, err := filter.Compile(runtime.GOARCH, syscalls.Rows())
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := binary.Write(&b, binary.NativeEndian, program); err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}

func provideSubuidless(ctx context.Context, w workdir, given string) error {
	to := filepath.Join(w.bin(), "subuidless")
	if given != "" {
		return copyFile(to, given, 0o755)
	}
	cmd := exec.CommandContext(ctx, "cmd/build", to)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s(run it in the root of the repository, or pass a binary with -subuidless)", cmd, err, out)
	}
	return nil
}

func compileC(ctx context.Context, w workdir, name string) error {
	source, err := cSources.ReadFile("c/" + name + ".c")
	if err != nil {
		return err
	}
	file := filepath.Join(w.bin(), name+".c")
	if err := os.WriteFile(file, source, 0o644); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "gcc", "-O2", "-pthread", "-o", filepath.Join(w.bin(), name), file)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}
