// Package clitest has what the tests of the two programs' command lines share.
package clitest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// ManPages generates a man page of each command of root that has accepts, and of its subcommands,
// from the same texts as --help, and has groff examine them. They are written to the directory
// dir, or if that is empty to one of the test; the date is that of the environment variable
// SOURCE_DATE_EPOCH.
//
// The pages are made by a test, so that the programs do not link the generator.
func ManPages(t *testing.T, root *cobra.Command, dir string, has func(*cobra.Command) bool) {
	if dir == "" {
		dir = t.TempDir()
	}
	root.DisableAutoGenTag = true
	header := &doc.GenManHeader{Section: "1", Source: "subuidless", Manual: "User Commands"}
	if seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		date := time.Unix(seconds, 0).UTC()
		header.Date = &date
	}
	if has(root) {
		writePage(t, root, *header, dir)
	}
	for _, cmd := range root.Commands() {
		if has(cmd) && (cmd.IsAvailableCommand() || cmd.Name() == "help") {
			writePages(t, cmd, *header, dir)
		}
	}
	t.Run("groff", func(t *testing.T) { examine(t, dir) })
}

// examine reports the warnings of groff about the man pages in a directory.
func examine(t *testing.T, dir string) {
	if _, err := exec.LookPath("groff"); err != nil {
		t.Skip("groff is missing: apt-get install groff-base")
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(names) == 0 {
		t.Fatalf("the man pages are %v, %v", names, err)
	}
	out, err := exec.Command("groff", append([]string{"-man", "-ww", "-Tutf8", "-z"}, names...)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("groff: %v\n%s", err, out)
	}
}

func writePages(t *testing.T, cmd *cobra.Command, header doc.GenManHeader, dir string) {
	writePage(t, cmd, header, dir)
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			writePages(t, sub, header, dir)
		}
	}
}

func writePage(t *testing.T, cmd *cobra.Command, header doc.GenManHeader, dir string) {
	t.Helper()
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	var page bytes.Buffer
	cmd.Long = preformat(cmd.Long)
	if err := doc.GenMan(cmd, &header, &page); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	for _, part := range []string{".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"} {
		if !strings.Contains(page.String(), part) {
			t.Errorf("the page of %s has no %s", name, part)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, name+".1"), page.Bytes(), 0o644); err != nil {
		t.Error(err)
	}
}

// preformat makes the indented lines of a help text blocks of code in Markdown, from which the
// generator makes lists and tables that man(1) does not fill.
func preformat(help string) string {
	var b strings.Builder
	block := false
	for line := range strings.Lines(help) {
		if indented := strings.HasPrefix(line, "  "); indented != block {
			b.WriteString("\n") // blocks need empty lines around them
			block = indented
		}
		if block {
			b.WriteString("    ")
		}
		b.WriteString(line)
	}
	return b.String()
}
