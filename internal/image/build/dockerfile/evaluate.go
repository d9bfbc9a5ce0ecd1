package dockerfile

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
)

// Base is what a stage begins with.
type Base struct {
	Image Image
	env   envList // variables of RUN, if the base is a stage; nil: those of the image
	args  []string
}

// Result is an evaluated stage.
type Result struct {
	Steps []Step
	Image Image // the configuration, without what steps add to RootFS and History
	After Base  // what a stage that is based on this one begins with
}

// evaluator evaluates the instructions of a stage.
type evaluator struct {
	stage   *Stage
	file    *File
	lex     *shell.Lex
	image   Image
	env     envList
	args    []string // names of declared arguments
	cmdSet  bool
	trigger bool // the instruction is a trigger of the base
}

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Evaluate evaluates the instructions of the stage, and before them the triggers that its base
// has for it (ONBUILD).
func (s *Stage) Evaluate(base Base) (*Result, error) {
	e := &evaluator{stage: s, file: s.file, lex: shell.NewLex(s.file.escape), image: clone(base.Image), env: base.env, args: slices.Clone(base.args)}
	if e.env == nil {
		config := envList(e.image.Config.Env)
		if _, ok := config.Get("PATH"); !ok {
			e.image.Config.Env = append(config, "PATH="+defaultPath)
		}
		for _, kv := range e.image.Config.Env {
			key, value, _ := strings.Cut(kv, "=")
			e.env = e.env.with(key, value)
		}
	}
	s.lintBase(&base.Image)
	triggers := e.image.Config.OnBuild
	e.image.Config.OnBuild = nil
	var steps []Step
	for _, text := range triggers {
		c, err := parseTrigger(text)
		if err == nil {
			e.trigger = true
			err = e.add(&steps, c)
		}
		if err != nil {
			return nil, s.file.at(s.Line, fmt.Errorf("ONBUILD %s of the base image: %w", text, withoutLine(err)))
		}
	}
	e.trigger = false
	for _, c := range s.commands {
		if err := e.add(&steps, c); err != nil {
			return nil, s.file.at(line(c.Location()), err)
		}
	}
	if err := s.file.lintError(); err != nil {
		return nil, err
	}
	after := Base{Image: clone(e.image), env: slices.Clone(e.env), args: slices.Clone(e.args)}
	return &Result{Steps: steps, Image: e.image, After: after}, nil
}

func withoutLine(err error) error {
	if located := new(Error); errors.As(err, &located) {
		return located.Err
	}
	return withoutLocation(err)
}

// parseTrigger parses the instruction of an ONBUILD.
func parseTrigger(text string) (instructions.Command, error) {
	parsed, err := parser.Parse(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	if len(parsed.AST.Children) != 1 {
		return nil, errors.New("must be one instruction")
	}
	return instructions.ParseCommand(parsed.AST.Children[0])
}

// clone returns a copy whose configuration can be changed.
func clone(i Image) Image {
	c := &i.Config
	c.Env, c.Cmd, c.Entrypoint = slices.Clone(c.Env), slices.Clone(c.Cmd), slices.Clone(c.Entrypoint)
	c.OnBuild, c.Shell = slices.Clone(c.OnBuild), slices.Clone(c.Shell)
	c.Labels, c.Volumes, c.ExposedPorts = maps.Clone(c.Labels), maps.Clone(c.Volumes), maps.Clone(c.ExposedPorts)
	i.History, i.RootFS.DiffIDs = slices.Clone(i.History), slices.Clone(i.RootFS.DiffIDs)
	return i
}

// add evaluates an instruction, and adds its step.
func (e *evaluator) add(steps *[]Step, c instructions.Command) error {
	step := Step{Line: line(c.Location()), Text: oneLine(c)}
	if e.trigger {
		step.Line = e.stage.Line
	}
	// Evaluating an instruction changes it, and a trigger is shared by no other stage.
	if err := e.expand(c); err != nil {
		return err
	}
	err := e.dispatch(&step, c)
	*steps = append(*steps, step)
	return err
}

// oneLine returns an instruction as people want to see it.
func oneLine(c instructions.Command) string {
	text := c.Name()
	if s, ok := c.(fmt.Stringer); ok {
		text = s.String()
	}
	name, rest, _ := strings.Cut(text, " ")
	text = strings.ToUpper(name) + " " + strings.Join(strings.Fields(rest), " ")
	if run, ok := c.(*instructions.RunCommand); ok && len(run.Files) > 0 {
		first, _, more := strings.Cut(strings.TrimSpace(run.Files[0].Data), "\n")
		if more {
			first += "..."
		}
		text += " (" + first + ")"
	}
	return text
}

// expand replaces variables. ARG has its own rules.
func (e *evaluator) expand(c instructions.Command) error {
	if x, ok := c.(instructions.SupportsSingleWordExpansion); ok {
		if _, isArg := c.(*instructions.ArgCommand); !isArg {
			if err := x.Expand(func(word string) (string, error) {
				result, unmatched, err := e.lex.ProcessWord(word, e.env)
				e.lintVariables(c, unmatched)
				return result, err
			}); err != nil {
				return err
			}
		}
	}
	if x, ok := c.(instructions.SupportsSingleWordExpansionRaw); ok {
		return x.ExpandRaw(func(word string) (string, error) {
			lex := shell.NewLex('\\')
			lex.SkipProcessQuotes = true
			result, unmatched, err := lex.ProcessWord(word, e.env)
			e.lintVariables(c, unmatched)
			return result, err
		})
	}
	return nil
}

func (e *evaluator) dispatch(step *Step, c instructions.Command) error {
	config := &e.image.Config
	switch c := c.(type) {
	case *instructions.MaintainerCommand:
		e.image.Author = c.Maintainer
		step.History = "MAINTAINER " + c.Maintainer
	case *instructions.EnvCommand:
		for _, kv := range c.Env {
			e.env = e.env.with(kv.Key, kv.Value)
			config.Env = envList(config.Env).with(kv.Key, kv.Value)
		}
		step.History = "ENV " + pairs(c.Env)
	case *instructions.LabelCommand:
		if config.Labels == nil {
			config.Labels = map[string]string{}
		}
		for _, kv := range c.Labels {
			config.Labels[kv.Key] = kv.Value
		}
		step.History = "LABEL " + pairs(c.Labels)
	case *instructions.ArgCommand:
		return e.arg(step, c)
	case *instructions.UserCommand:
		config.User = c.User
		step.History = "USER " + c.User
	case *instructions.WorkdirCommand:
		config.WorkingDir = path.Join("/", e.workdir(), c.Path)
		if path.IsAbs(c.Path) {
			config.WorkingDir = path.Clean(c.Path)
		}
		step.History = "WORKDIR " + config.WorkingDir
		if config.WorkingDir != "/" {
			step.Workdir = &Workdir{Path: config.WorkingDir, User: config.User}
		}
	case *instructions.ShellCommand:
		config.Shell = c.Shell
		step.History = fmt.Sprintf("SHELL %v", c.Shell)
	case *instructions.CmdCommand:
		config.Cmd, e.cmdSet = e.withShell(c.ShellDependantCmdLine), true
		step.History = fmt.Sprintf("CMD %q", config.Cmd)
	case *instructions.EntrypointCommand:
		config.Entrypoint = e.withShell(c.ShellDependantCmdLine)
		if !e.cmdSet {
			config.Cmd = nil
		}
		step.History = fmt.Sprintf("ENTRYPOINT %q", config.Entrypoint)
	case *instructions.HealthCheckCommand:
		health := dockerspec.HealthcheckConfig(*c.Health)
		config.Healthcheck = &health
		step.History = fmt.Sprintf("HEALTHCHECK %+v", health)
	case *instructions.OnbuildCommand:
		return e.onbuild(step, c)
	case *instructions.VolumeCommand:
		return e.volume(step, c)
	case *instructions.ExposeCommand:
		return e.expose(step, c)
	case *instructions.StopSignalCommand:
		if err := checkSignal(c.Signal); err != nil {
			return err
		}
		config.StopSignal = c.Signal
		step.History = "STOPSIGNAL " + c.Signal
	case *instructions.RunCommand:
		return e.run(step, c)
	case *instructions.CopyCommand:
		return e.copy(step, c)
	case *instructions.AddCommand:
		return e.addFiles(step, c)
	default:
		return fmt.Errorf("the instruction %s is not supported", strings.ToUpper(c.Name()))
	}
	return nil
}

func pairs(list instructions.KeyValuePairs) string {
	var all []string
	for _, kv := range list {
		all = append(all, kv.String())
	}
	return strings.Join(all, " ")
}

func (e *evaluator) workdir() string { return path.Join("/", e.image.Config.WorkingDir) }

// withShell returns a command, with the shell in front of it if it has the shell form.
func (e *evaluator) withShell(c instructions.ShellDependantCmdLine) []string {
	if !c.PrependShell {
		return c.CmdLine
	}
	shell := e.image.Config.Shell
	if len(shell) == 0 {
		shell = []string{"/bin/sh", "-c"}
	}
	return append(slices.Clone(shell), strings.Join(c.CmdLine, " "))
}

// arg evaluates ARG in a stage.
func (e *evaluator) arg(step *Step, c *instructions.ArgCommand) error {
	var shown []string
	for _, a := range c.Args {
		value, given := e.file.options.Args[a.Key]
		switch {
		case given:
		case a.Value != nil:
			expanded, unmatched, err := e.lex.ProcessWord(*a.Value, e.env)
			e.lintVariables(c, unmatched)
			if err != nil {
				return err
			}
			value, given = expanded, true
		default:
			value, given = e.file.global.Get(a.Key)
		}
		if !slices.Contains(e.args, a.Key) {
			e.args = append(e.args, a.Key)
		}
		if !given {
			shown = append(shown, a.Key)
			continue
		}
		e.env = e.env.with(a.Key, value)
		shown = append(shown, a.Key+"="+value)
	}
	step.History = "ARG " + strings.Join(shown, " ")
	return nil
}

func (e *evaluator) onbuild(step *Step, c *instructions.OnbuildCommand) error {
	if _, err := parseTrigger(c.Expression); err != nil {
		return withoutLine(err)
	}
	e.image.Config.OnBuild = append(e.image.Config.OnBuild, c.Expression)
	step.History = "ONBUILD " + c.Expression
	return nil
}

func (e *evaluator) volume(step *Step, c *instructions.VolumeCommand) error {
	config := &e.image.Config
	if config.Volumes == nil {
		config.Volumes = map[string]struct{}{}
	}
	for _, v := range c.Volumes {
		if v == "" {
			return errors.New("VOLUME: a path is empty")
		}
		config.Volumes[v] = struct{}{}
	}
	step.History = fmt.Sprintf("VOLUME %v", c.Volumes)
	return nil
}
