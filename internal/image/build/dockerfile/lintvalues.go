package dockerfile

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/moby/buildkit/util/suggest"
	"github.com/moby/patternmatcher"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/rootless-containers/subuidless/internal/image/reference"
)

// This file has the rules of BuildKit's linter that need the values of variables, the base image or the
// patterns of .dockerignore.

// lintDefaults wants each FROM to name an image when no --build-arg is given.
func (f *File) lintDefaults(stages []instructions.Stage, global []instructions.ArgCommand) {
	defaults, err := f.globalArgs(global, nil)
	if err != nil {
		return // evaluating the arguments reports it
	}
	for i := range stages {
		s := &stages[i]
		base, _, err := shell.NewLex(f.escape).ProcessWord(s.BaseName, defaults)
		if err == nil {
			_, err = reference.Parse(base, nil)
		}
		if err != nil || base == "" {
			f.report(s.Comments, &linter.RuleInvalidDefaultArgInFrom, s.Location, linter.RuleInvalidDefaultArgInFrom.Format(s.BaseName))
		}
	}
}

// lintFrom wants the variables of FROM, of which unmatched have no value, to be declared.
func (f *File) lintFrom(s *instructions.Stage, unmatched map[string]struct{}) {
	declared := append(f.global.Keys(), f.declared...)
	for _, name := range slices.Sorted(maps.Keys(unmatched)) {
		if !slices.Contains(declared, name) {
			similar, _ := suggest.Search(name, declared, true)
			f.report(s.Comments, &linter.RuleUndefinedArgInFrom, s.Location, linter.RuleUndefinedArgInFrom.Format(name, similar))
		}
	}
}

// lintBase wants the base image to be for the platform of the stage.
func (s *Stage) lintBase(base *Image) {
	if s.Base.Image == "" || len(base.RootFS.DiffIDs) == 0 {
		return
	}
	expected := FormatPlatform(s.file.options.Platform)
	if s.Platform != "" {
		expected = s.Platform
	}
	os, arch, _ := strings.Cut(expected, "/")
	arch, _, _ = strings.Cut(arch, "/")
	if os != base.OS || arch != base.Architecture {
		actual := FormatPlatform(ocispec.Platform{OS: base.OS, Architecture: base.Architecture, Variant: base.Variant})
		s.file.report(nil, &linter.RuleInvalidBaseImagePlatform, s.location, linter.RuleInvalidBaseImagePlatform.Format(s.Base.Image, expected, actual))
	}
}

// lintVariables wants variables, of which unmatched have no value, to be declared before they are used.
func (e *evaluator) lintVariables(c instructions.Command, unmatched map[string]struct{}) {
	for _, name := range slices.Sorted(maps.Keys(unmatched)) {
		if slices.Contains(e.args, name) {
			continue
		}
		similar, _ := suggest.Search(name, e.env.Keys(), true)
		e.report(c, &linter.RuleUndefinedVar, linter.RuleUndefinedVar.Format(name, similar))
	}
}

// lintIgnored wants a source of COPY or ADD, which is in the context of the build, not to be one that
// .dockerignore excludes. Patterns with exceptions are not looked at, as in BuildKit.
func (e *evaluator) lintIgnored(c instructions.Command, name, source string) error {
	ignored := e.file.options.Ignore
	if len(ignored) == 0 {
		return nil
	}
	matcher, err := patternmatcher.New(ignored)
	if err != nil || matcher.Exclusions() {
		return err
	}
	source = path.Clean(source)
	if source == "." || source == "/" {
		// The context itself is excluded only if all of it is.
		if !slices.ContainsFunc(ignored, func(p string) bool { return p == "*" || p == "**" || p == "**/*" }) {
			return nil
		}
	}
	matches, err := matcher.MatchesOrParentMatches(source)
	if err == nil && matches {
		e.report(c, &linter.RuleCopyIgnoredFile, linter.RuleCopyIgnoredFile.Format(name, source))
	}
	return err
}

// report reports what a rule says about an instruction. A trigger is where the stage begins.
func (e *evaluator) report(c instructions.Command, rule linter.LinterRuleI, message string) {
	location := c.Location()
	if e.trigger {
		location = e.stage.location
	}
	e.file.report(c.Comments(), rule, location, message)
}

// report reports what a rule says about an instruction with these comments, which may have directives.
func (f *File) report(comments []string, rule linter.LinterRuleI, location []parser.Range, message string) {
	f.linting.Lock()
	defer f.linting.Unlock()
	f.rules.WithMergedConfigFromComments(comments).Run(rule, location, message)
}

// lintError returns an error if a rule was not followed, and the directive check makes that one.
func (f *File) lintError() error {
	f.linting.Lock()
	defer f.linting.Unlock()
	return f.failed()
}
