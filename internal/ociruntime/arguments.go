package ociruntime

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// globals are the options before the command.
type globals struct {
	runtime       string // path or name of the runtime; empty: see findBackend
	root          string // absolute; empty: see defaultRoot
	log           string // as given
	logFile       string // absolute; empty: the log is no file, or there is none
	logFormat     string
	systemdCgroup bool
	version, help bool
	supervisor    supervisor.Config
	// passed are the options for the runtime, except those above.
	passed []string
}

// globalValues are the options that all runtimes know or ignore, and that have a value.
var globalValues = []string{"root", "log", "log-format", "runtime", "trace", "sidecar", "permissions", "rootless", "criu", "cgroup-manager"}

// parseGlobals parses the options before the command, as crun and runc do: "--name value"
// or "--name=value". It returns the command and its arguments.
func parseGlobals(args []string) (g globals, rest []string, err error) {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		arg := args[0]
		args = args[1:]
		if arg == "-v" || arg == "-V" {
			arg = "--version"
		}
		if arg == "-h" || arg == "-?" {
			arg = "--help"
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if slices.Contains(globalValues, name) && !hasValue {
			if len(args) == 0 {
				return g, nil, fmt.Errorf("option --%s needs a value", name)
			}
			value, args = args[0], args[1:]
		}
		if err := g.set(name, value); err != nil {
			return g, nil, err
		}
	}
	return g, args, nil
}

func (g *globals) set(name, value string) (err error) {
	switch name {
	case "root":
		g.root, err = filepath.Abs(value)
	case "log":
		g.log = value
		// crun knows other logs than files, too.
		path, isFile := strings.CutPrefix(value, "file:")
		if !isFile && (strings.HasPrefix(value, "journald:") || strings.HasPrefix(value, "syslog:")) {
			break
		}
		g.logFile, err = filepath.Abs(path)
	case "log-format":
		if value != "text" && value != "json" {
			return fmt.Errorf("unknown log format %q: use text or json", value)
		}
		g.logFormat = value
	case "runtime":
		g.runtime = value
	case "trace":
		g.supervisor.Trace, err = filepath.Abs(value)
	case "sidecar":
		g.supervisor.Sidecar, err = filepath.Abs(value)
	case "permissions":
		if value != "on" && value != "off" {
			return errors.New("--permissions must be on or off")
		}
		g.supervisor.NoPermissions = value == "off"
	case "systemd-cgroup":
		g.systemdCgroup = value != "false"
	case "rootless":
		// Where cgroups are not the user's, this package decides.
	case "cgroup-manager", "criu":
		g.passed = append(g.passed, "--"+name+"="+value)
	case "debug":
		g.passed = append(g.passed, "--debug")
	case "version":
		g.version = true
	case "help":
		g.help = true
	default:
		return fmt.Errorf("unknown option --%s; see subuidless runtime --help", name)
	}
	return err
}

// command is a command that this package executes, with its options.
type command struct {
	name  string
	flags *pflag.FlagSet
	id    string
	// further are the arguments after the container's id.
	further []string
}

// option is an option of a command: of crun, of runc, or of both. The runtime itself
// refuses those that it does not know.
type option struct {
	name, short string
	boolean     bool
}

var (
	createOptions = []option{
		{"bundle", "b", false}, {"config", "f", false}, {"console-socket", "", false}, {"pid-file", "", false},
		{"preserve-fds", "", false}, {"no-pivot", "", true}, {"no-new-keyring", "", true}, {"no-subreaper", "", true},
	}
	options = map[string][]option{
		"create": createOptions,
		"run":    append([]option{{"detach", "d", true}, {"keep", "", true}}, createOptions...),
		"exec": {
			{"console-socket", "", false}, {"cwd", "", false}, {"env", "e", false}, {"user", "u", false},
			{"additional-gids", "g", false}, {"process", "p", false}, {"pid-file", "", false}, {"process-label", "", false},
			{"apparmor", "", false}, {"cap", "c", false}, {"preserve-fds", "", false}, {"cgroup", "", false},
			{"tty", "t", true}, {"detach", "d", true}, {"no-new-privs", "", true}, {"no-subreaper", "", true}, {"ignore-paused", "", true},
		},
		"delete": {{"force", "f", true}, {"regex", "r", true}},
		"kill":   {{"all", "a", true}, {"regex", "r", true}},
		"ps":     {{"format", "f", false}},
		"state":  {{"all", "a", true}, {"regex", "r", true}},
	}
)

// parseCommand parses the command name, which options has, and its arguments.
func parseCommand(name string, args []string) (*command, error) {
	c := &command{name: name, flags: pflag.NewFlagSet(name, pflag.ContinueOnError)}
	c.flags.SetOutput(io.Discard)
	// crun accepts options after the id. For exec, these are the program's, and for ps those of
	// ps(1).
	c.flags.SetInterspersed(name != "exec" && name != "ps")
	for _, o := range options[name] {
		if o.boolean {
			c.flags.BoolP(o.name, o.short, false, "")
		} else {
			c.flags.StringArrayP(o.name, o.short, nil, "")
		}
	}
	if err := c.flags.Parse(args); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	rest := c.flags.Args()
	if len(rest) == 0 {
		return nil, fmt.Errorf("%s: no container id given", name)
	}
	c.id, c.further = rest[0], rest[1:]
	if name != "exec" && name != "ps" && name != "kill" && len(c.further) > 0 {
		return nil, fmt.Errorf("%s: unexpected argument %q after the container id %q", name, c.further[0], c.id)
	}
	if !c.bool("regex") && (c.id == "." || c.id == ".." || strings.ContainsAny(c.id, "/\x00")) {
		return nil, fmt.Errorf("%s: invalid container id %q", name, c.id)
	}
	return c, nil
}

// value returns the last value of an option that has values; empty if it is not given.
func (c *command) value(name string) string {
	values, err := c.flags.GetStringArray(name)
	if err != nil || len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// bool returns the value of a boolean option, false if the command does not have it.
func (c *command) bool(name string) bool {
	on, err := c.flags.GetBool(name)
	return err == nil && on
}

// arguments returns the arguments of the command for the runtime, without the options in
// omitted and with the additional ones.
func (c *command) arguments(omitted, additional []string) []string {
	args := []string{c.name}
	c.flags.Visit(func(f *pflag.Flag) {
		if slices.Contains(omitted, f.Name) {
			return
		}
		values, ok := f.Value.(pflag.SliceValue)
		if !ok {
			if f.Value.String() == "true" {
				args = append(args, "--"+f.Name)
			}
			return
		}
		for _, v := range values.GetSlice() {
			args = append(args, "--"+f.Name+"="+v)
		}
	})
	args = append(args, additional...)
	return append(append(args, c.id), c.further...)
}
