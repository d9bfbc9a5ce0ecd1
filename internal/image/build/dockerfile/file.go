package dockerfile

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Options are what the user adds to a Dockerfile.
type Options struct {
	Name     string            // of the file, for messages
	Args     map[string]string // --build-arg
	Target   string            // --target; empty: the last stage
	Platform ocispec.Platform  // of the image
	Build    ocispec.Platform  // of this machine
	Warn     func(message string)
	Lint     func(Warning)
	Ignore   []string // patterns of .dockerignore

	// HasContext reports whether --build-context gives this name a context. Nil: none has one.
	HasContext func(name string) bool
}

func (o *Options) hasContext(name string) bool { return o.HasContext != nil && o.HasContext(name) }

// File is a parsed Dockerfile.
type File struct {
	Stages []*Stage
	Target *Stage

	options Options
	escape  rune
	global  envList // ARG before the first FROM, and the predefined ones
	args    map[string]bool

	declared []string // the names in ARG before the first FROM

	linting sync.Mutex // protects rules and failed once the file is parsed
	rules   *linter.Linter
	failed  func() error
}

// Stage is a stage of a build.
type Stage struct {
	Index    int
	Name     string // as in FROM ... AS, or empty
	Line     int
	Base     Ref    // what FROM names
	Platform string // of FROM; empty: that of the image
	location []parser.Range
	commands []instructions.Command
	file     *File
}

// Title returns what messages call the stage.
func (s *Stage) Title() string {
	switch {
	case s.Name != "":
		return s.Name
	case len(s.file.Stages) == 1:
		return ""
	}
	return fmt.Sprintf("stage-%d", s.Index)
}

// Ref names what files come from: a stage, an image, a context of --build-context, or nothing.
type Ref struct {
	Stage   *Stage
	Image   string
	Context string
}

// Scratch reports whether r is the empty image.
func (r Ref) Scratch() bool { return r == Ref{} }

// Error is an error at a line of a Dockerfile.
type Error struct {
	File string
	Line int
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// at returns err with a line, unless it has one.
func (f *File) at(line int, err error) error {
	if err == nil || errors.As(err, new(*Error)) {
		return err
	}
	return &Error{f.options.Name, line, withoutLocation(err)}
}

// withoutLocation returns the cause of an error of BuildKit's parser, which says the line itself.
func withoutLocation(err error) error {
	text := err.Error()
	if rest, ok := strings.CutPrefix(text, "dockerfile parse error on line "); ok {
		if _, message, ok := strings.Cut(rest, ": "); ok {
			return errors.New(message)
		}
	}
	return err
}

// lineOf returns the line that an error of BuildKit's parser is about, or 1.
func lineOf(err error) int {
	var located *parser.LocationError
	if errors.As(err, &located) && len(located.Locations) > 0 && len(located.Locations[0]) > 0 {
		return max(1, located.Locations[0][0].Start.Line)
	}
	if rest, ok := strings.CutPrefix(err.Error(), "dockerfile parse error on line "); ok {
		number, _, _ := strings.Cut(rest, ":")
		if n, err := strconv.Atoi(number); err == nil {
			return n
		}
	}
	return 1
}

func line(location []parser.Range) int {
	if len(location) == 0 {
		return 1
	}
	return location[0].Start.Line
}

// Parse parses a Dockerfile. Errors about its content are of type *Error.
func Parse(content []byte, o Options) (*File, error) {
	f := &File{options: o, args: map[string]bool{}}
	if err := f.checkSyntax(content); err != nil {
		return nil, err
	}
	if err := f.newLinter(content); err != nil {
		return nil, err
	}
	parsed, err := parser.Parse(bytes.NewReader(content))
	if err != nil {
		return nil, f.at(lineOf(err), err)
	}
	f.escape = parsed.EscapeToken
	stages, global, err := instructions.Parse(parsed.AST, f.rules)
	if err != nil {
		return nil, f.at(lineOf(err), err)
	}
	if len(stages) == 0 {
		return nil, f.at(1, errors.New("there is no FROM instruction"))
	}
	lint(f.rules, parsed, stages)
	for i := range global {
		for _, a := range global[i].Args {
			f.args[a.Key] = true
			f.declared = append(f.declared, a.Key)
		}
	}
	f.lintDefaults(stages, global)
	if f.global, err = f.globalArgs(global, o.Args); err != nil {
		return nil, err
	}
	for i := range stages {
		if err := f.addStage(&stages[i]); err != nil {
			return nil, err
		}
	}
	if err := f.lintError(); err != nil {
		return nil, err
	}
	f.Target = f.Stages[len(f.Stages)-1]
	if o.Target != "" {
		if f.Target = f.find(o.Target, len(f.Stages)); f.Target == nil {
			return nil, fmt.Errorf("%s has no stage %q (it has %s)", o.Name, o.Target, f.names())
		}
	}
	f.warnUnusedArgs()
	return f, nil
}

// checkSyntax refuses languages other than the Dockerfile's.
func (f *File) checkSyntax(content []byte) error {
	name, _, where, ok := parser.DetectSyntax(content)
	at := 1
	if ok {
		at = line(where)
	}
	if arg, given := f.options.Args["BUILDKIT_SYNTAX"]; given {
		name, ok = arg, true
	}
	if !ok {
		return nil
	}
	image := strings.TrimPrefix(name, "docker.io/")
	image, _, _ = strings.Cut(image, "@")
	image, _, _ = strings.Cut(image, ":")
	switch image {
	case "docker/dockerfile", "docker/dockerfile-upstream":
		return nil
	}
	return f.at(at, fmt.Errorf("syntax %s: only docker/dockerfile is supported, which is built in; other frontends are programs of BuildKit", name))
}

// newLinter sets rules for the directive "check", and failed, which returns an error if there are warnings
// and the directive makes them errors.
func (f *File) newLinter(content []byte) (err error) {
	config := new(linter.Config)
	text, _, where, ok := parser.ParseDirective("check", content)
	if arg, given := f.options.Args["BUILDKIT_DOCKERFILE_CHECK"]; given {
		text, ok = arg, true
	}
	if ok {
		if config, err = linter.ParseLintOptions(text); err != nil {
			return f.at(line(where), err)
		}
	}
	var first error
	config.Warn = func(rule, _, url, message string, location []parser.Range) {
		f.options.Lint(Warning{rule, url, message, f.options.Name, line(location)})
		if first == nil {
			first = f.at(line(location), fmt.Errorf("%s: %s (the directive check makes warnings errors)", rule, message))
		}
	}
	f.rules = linter.New(config)
	f.failed = func() error {
		if config.ReturnAsError {
			return first
		}
		return nil
	}
	return nil
}

// find returns the stage of this name or number among the first n, or nil.
func (f *File) find(name string, n int) *Stage {
	// The last one of a name counts, as in BuildKit.
	for _, s := range slices.Backward(f.Stages[:n]) {
		if s.Name != "" && strings.EqualFold(s.Name, name) {
			return s
		}
	}
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < n {
		return f.Stages[i]
	}
	return nil
}

func (f *File) names() string {
	var names []string
	for _, s := range f.Stages {
		if s.Name != "" {
			names = append(names, strconv.Quote(s.Name))
		} else {
			names = append(names, strconv.Itoa(s.Index))
		}
	}
	return strings.Join(names, ", ")
}

// addStage adds a stage.
func (f *File) addStage(parsed *instructions.Stage) error {
	s := &Stage{Index: len(f.Stages), Name: parsed.Name, Line: line(parsed.Location), location: parsed.Location, commands: parsed.Commands, file: f}
	base, err := f.expandFrom(parsed, parsed.BaseName)
	if err != nil {
		return f.at(s.Line, err)
	}
	if base == "" {
		return f.at(s.Line, fmt.Errorf("the base %s is empty: a variable in it has no value", parsed.BaseName))
	}
	if stage := f.find(base, s.Index); stage != nil && stage.Name != "" && strings.EqualFold(stage.Name, base) {
		s.Base.Stage = stage
	} else if f.options.hasContext(base) {
		s.Base.Context = base
	} else if base != "scratch" {
		s.Base.Image = base
	}
	if parsed.Platform != "" {
		if s.Platform, err = f.expandFrom(parsed, parsed.Platform); err != nil {
			return f.at(s.Line, err)
		}
		if s.Platform == "" {
			return f.at(s.Line, fmt.Errorf("--platform=%s is empty: a variable in it has no value", parsed.Platform))
		}
	}
	if s.Name != "" && f.options.hasContext(s.Name) {
		// The context replaces the stage, as in BuildKit.
		s.Base, s.commands = Ref{Context: s.Name}, nil
	}
	for _, c := range parsed.Commands {
		if arg, ok := c.(*instructions.ArgCommand); ok {
			for _, a := range arg.Args {
				f.args[a.Key] = true
			}
		}
	}
	f.Stages = append(f.Stages, s)
	return nil
}

// expandFrom replaces variables in a word of FROM.
func (f *File) expandFrom(parsed *instructions.Stage, word string) (string, error) {
	result, unmatched, err := shell.NewLex(f.escape).ProcessWord(word, f.global)
	f.lintFrom(parsed, unmatched)
	return result, err
}

// ref returns what the option from of an instruction of the stage s names.
func (s *Stage) ref(from string) (Ref, error) {
	switch stage := s.file.find(from, s.Index); {
	case stage != nil:
		return Ref{Stage: stage}, nil
	case s.file.find(from, len(s.file.Stages)) != nil:
		return Ref{}, fmt.Errorf("from=%s: the stage must come before the one that uses it", from)
	case s.file.options.hasContext(from):
		return Ref{Context: from}, nil
	case from == "scratch":
		return Ref{}, nil
	}
	if _, err := strconv.Atoi(from); err == nil {
		return Ref{}, fmt.Errorf("from=%s: there is no stage with this number", from)
	}
	return Ref{Image: from}, nil
}

// Refs returns the stages and images that the instructions of a stage use, besides its base. There
// may be more in the triggers of the base.
func (s *Stage) Refs() []Ref {
	var all []Ref
	add := func(from string) {
		if r, err := s.ref(from); err == nil && from != "" { // Evaluate reports errors
			all = append(all, r)
		}
	}
	for _, c := range s.commands {
		switch c := c.(type) {
		case *instructions.CopyCommand:
			add(c.From)
		case *instructions.RunCommand:
			for _, m := range instructions.GetMounts(c) {
				add(m.From)
			}
		}
	}
	return all
}

// warnUnusedArgs warns of arguments that no instruction declares.
func (f *File) warnUnusedArgs() {
	for _, key := range slices.Sorted(maps.Keys(f.options.Args)) {
		if !f.args[key] && !isProxy(key) && !strings.HasPrefix(key, "BUILDKIT_") && key != epochArg && !f.isPredefined(key) {
			f.options.Warn(fmt.Sprintf("--build-arg %s: %s has no ARG %s, so it has no effect", key, f.options.Name, key))
		}
	}
}
