package dockerfile

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// Warning is something that a rule of BuildKit's linter recommends not to do.
type Warning struct {
	Rule    string // such as MaintainerDeprecated
	URL     string // of the documentation
	Message string
	File    string // as in Options.Name
	Line    int
}

// lint runs the rules of BuildKit's linter that are about the syntax of several instructions. Package
// instructions runs those about the syntax of single instructions.
func lint(l *linter.Linter, parsed *parser.Result, stages []instructions.Stage) {
	for _, w := range parsed.Warnings {
		if w.URL == linter.RuleNoEmptyContinuation.URL && w.Location != nil {
			l.Run(&linter.RuleNoEmptyContinuation, []parser.Range{*w.Location}, linter.RuleNoEmptyContinuation.Format())
		}
	}
	lintCasing(l, stages)
	lintStageNames(l, stages)
	for i := range stages {
		lintStage(l.WithMergedConfigFromComments(stages[i].Comments), &stages[i])
	}
}

// lintCasing wants all instructions in the case that most have.
func lintCasing(l *linter.Linter, stages []instructions.Stage) {
	type word struct {
		text     string
		location []parser.Range
	}
	var words []word
	for _, s := range stages {
		words = append(words, word{s.OrigCmd, s.Location})
		for _, c := range s.Commands {
			words = append(words, word{c.Name(), c.Location()})
		}
	}
	lower, upper := 0, 0
	for _, w := range words {
		switch w.text {
		case strings.ToLower(w.text):
			lower++
		case strings.ToUpper(w.text):
			upper++
		}
	}
	to, casing := strings.ToUpper, "uppercase"
	if lower > upper {
		to, casing = strings.ToLower, "lowercase"
	}
	for _, w := range words {
		if w.text != to(w.text) {
			l.Run(&linter.RuleConsistentInstructionCasing, w.location, linter.RuleConsistentInstructionCasing.Format(w.text, casing))
		}
	}
}

func lintStageNames(l *linter.Linter, stages []instructions.Stage) {
	var names []string
	for _, s := range stages {
		switch {
		case s.Name == "":
			continue
		case s.Name == "scratch" || s.Name == "context":
			l.Run(&linter.RuleReservedStageName, s.Location, linter.RuleReservedStageName.Format(s.Name))
		}
		if slices.Contains(names, s.Name) {
			l.Run(&linter.RuleDuplicateStageName, s.Location, linter.RuleDuplicateStageName.Format(s.Name))
		}
		names = append(names, s.Name)
	}
}

// lintStage runs the rules about the instructions of one stage.
func lintStage(l *linter.Linter, s *instructions.Stage) {
	if s.Platform == "$TARGETPLATFORM" || s.Platform == "${TARGETPLATFORM}" {
		l.Run(&linter.RuleRedundantTargetPlatform, s.Location, linter.RuleRedundantTargetPlatform.Format(s.Platform))
	}
	if os, rest, ok := strings.Cut(s.Platform, "/"); ok && !strings.Contains(s.Platform, "$") {
		arch, _, _ := strings.Cut(rest, "/")
		if !strings.Contains(s.Name, os) && !strings.Contains(s.Name, arch) {
			l.Run(&linter.RuleFromPlatformFlagConstDisallowed, s.Location, linter.RuleFromPlatformFlagConstDisallowed.Format(s.Platform))
		}
	}
	ofStage, hasShell, hasWorkdir := l, false, false
	before := map[string][]parser.Range{} // instructions of which the last one counts
	once := func(kind string, c instructions.Command) {
		if at, ok := before[kind]; ok { // the one that has no effect
			l.Run(&linter.RuleMultipleInstructionsDisallowed, at, linter.RuleMultipleInstructionsDisallowed.Format(c.Name()))
		}
		before[kind] = c.Location()
	}
	wantJSON := func(c instructions.Command, line *instructions.ShellDependantCmdLine) {
		if line.PrependShell && !hasShell {
			l.Run(&linter.RuleJSONArgsRecommended, c.Location(), linter.RuleJSONArgsRecommended.Format(c.Name()))
		}
	}
	for _, c := range s.Commands {
		l = ofStage.WithMergedConfigFromComments(c.Comments())
		switch c := c.(type) {
		case *instructions.CmdCommand:
			once("CMD", c)
			wantJSON(c, &c.ShellDependantCmdLine)
		case *instructions.EntrypointCommand:
			once("ENTRYPOINT", c)
			wantJSON(c, &c.ShellDependantCmdLine)
		case *instructions.HealthCheckCommand:
			once("HEALTHCHECK", c)
		case *instructions.ShellCommand:
			hasShell = true
		case *instructions.WorkdirCommand:
			if !hasWorkdir && !strings.HasPrefix(c.Path, "/") && !strings.HasPrefix(c.Path, "$") {
				l.Run(&linter.RuleWorkdirRelativePath, c.Location(), linter.RuleWorkdirRelativePath.Format(c.Path))
			}
			hasWorkdir = true
		case *instructions.EnvCommand:
			lintPairs(l, c, c.Env)
			for _, kv := range c.Env {
				lintSecret(l, c, "ENV", kv.Key)
			}
		case *instructions.LabelCommand:
			lintPairs(l, c, c.Labels)
		case *instructions.ArgCommand:
			for _, a := range c.Args {
				lintSecret(l, c, "ARG", a.Key)
			}
		case *instructions.ExposeCommand:
			lintPorts(l, c)
		}
	}
}

// lintPairs wants KEY=VALUE instead of KEY VALUE.
func lintPairs(l *linter.Linter, c instructions.Command, pairs instructions.KeyValuePairs) {
	for _, kv := range pairs {
		if kv.NoDelim {
			l.Run(&linter.RuleLegacyKeyValueFormat, c.Location(), linter.RuleLegacyKeyValueFormat.Format(c.Name()))
		}
	}
}

// Patterns of the names of variables, compiled when they are needed.
var (
	secretNames = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)`)
	})
	publicNames = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)(?:_|^)(?:public|file|version)(?:_|$)`)
	})
)

// lintSecret warns of a variable whose name is that of a secret: its value is in the image.
func lintSecret(l *linter.Linter, c instructions.Command, instruction, key string) {
	if secretNames().MatchString(key) && !publicNames().MatchString(key) {
		l.Run(&linter.RuleSecretsUsedInArgOrEnv, c.Location(), linter.RuleSecretsUsedInArgOrEnv.Format(instruction, key))
	}
}

func lintPorts(l *linter.Linter, c *instructions.ExposeCommand) {
	for _, port := range c.Ports {
		if strings.Contains(port, "$") {
			continue
		}
		if _, protocol, _ := strings.Cut(port, "/"); protocol != strings.ToLower(protocol) {
			l.Run(&linter.RuleExposeProtoCasing, c.Location(), linter.RuleExposeProtoCasing.Format(port))
		}
		if strings.Contains(port, ":") {
			l.Run(&linter.RuleExposeInvalidFormat, c.Location(), linter.RuleExposeInvalidFormat.Format(port))
		}
	}
}
