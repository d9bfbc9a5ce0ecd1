package clitest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rootless-containers/subuidless/test/pages"
)

// Mentions checks that the commands of subuidless which pages, help, messages and comments mention
// are commands of root, and have the flags mentioned. It checks those whose first word has
// accepts: the other program's test checks the rest.
func Mentions(t *testing.T, root *cobra.Command, has func(name string) bool) {
	checked := 0
	check := func(where string, mentions []pages.Mention) {
		for _, m := range mentions {
			if len(m.Args) == 0 || !has(m.Args[0]) {
				continue
			}
			checked++
			if err := parses(root, m.Args); err != nil {
				t.Errorf("%s:%d: subuidless %s: %v", where, m.Line, strings.Join(m.Args, " "), err)
			}
		}
	}
	const top = "../.."
	err := filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == ".git"):
			return fs.SkipDir
		case filepath.Ext(name) != ".md" && filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(text), "subuidless ") {
			return err
		}
		var mentions []pages.Mention
		if filepath.Ext(name) == ".go" {
			mentions = pages.MentionsInProse(strings.ReplaceAll(string(text), `"`, "")) // most delimit strings of Go
		} else if mentions, err = pages.Mentions(string(text)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		check(strings.TrimPrefix(name, top+"/"), mentions)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	forEach(root, func(cmd *cobra.Command) {
		help := "help of " + cmd.CommandPath()
		check(help, pages.MentionsInProse(cmd.Long))
		if cmd.Example != "" {
			check(help, examples(t, cmd))
		}
	})
	if checked < 50 {
		t.Errorf("only %d commands are mentioned", checked)
	}
}

// examples returns the commands of subuidless in the examples of cmd.
func examples(t *testing.T, cmd *cobra.Command) []pages.Mention {
	t.Helper()
	mentions, err := pages.Mentions("    " + strings.ReplaceAll(cmd.Example, "\n", "\n    "))
	if err != nil {
		t.Fatal(err)
	}
	return mentions
}

// forEach calls f for cmd and all commands below it.
func forEach(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, sub := range cmd.Commands() {
		forEach(sub, f)
	}
}

// parses returns an error if args name a command that root lacks, or a flag that the command lacks.
// Values may be missing or placeholders, as in "--user NAME".
func parses(root *cobra.Command, args []string) error {
	cmd := root
	for len(args) > 0 && cmd.HasSubCommands() {
		i := slices.IndexFunc(cmd.Commands(), func(c *cobra.Command) bool { return c.Name() == args[0] || c.HasAlias(args[0]) })
		if i < 0 {
			break
		}
		cmd, args = cmd.Commands()[i], args[1:]
	}
	if len(args) > 0 && cmd.HasSubCommands() && !strings.HasPrefix(args[0], "-") && args[0] != strings.ToUpper(args[0]) {
		return fmt.Errorf("%s has no command %s", cmd.CommandPath(), args[0])
	}
	if cmd.DisableFlagParsing {
		return nil
	}
	cmd.InitDefaultHelpFlag()
	for i, arg := range args {
		args[i] = strings.Trim(arg, "[]") // of what may be omitted
	}
	var unknown *pflag.NotExistError
	if err := cmd.ParseFlags(args); errors.As(err, &unknown) {
		return err
	}
	return nil
}
