// Package clitest has what the tests of the two programs' command lines share.
package clitest

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// ManPages generates a man page of each command of root that has tells, and of its subcommands,
// from the same texts as --help. They are written to the directory dir, if it is not empty; the
// date is that of the environment variable SOURCE_DATE_EPOCH.
//
// The pages are made by a test, so that the programs do not link the generator.
func ManPages(t *testing.T, root *cobra.Command, dir string, has func(*cobra.Command) bool) {
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
	if err := doc.GenMan(cmd, &header, &page); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	for _, part := range []string{".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"} {
		if !strings.Contains(page.String(), part) {
			t.Errorf("the page of %s has no %s", name, part)
		}
	}
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name+".1"), page.Bytes(), 0o644); err != nil {
		t.Error(err)
	}
}
