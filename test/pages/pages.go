// Package pages reads the commands of Markdown pages, for the tests that run them.
//
// A block of code is indented by four spaces, after an empty line, or fenced. A test runs its
// commands, unless a comment before it says why not, or that it has none:
//
//	<!-- not run: it takes an hour -->
//
// In a transcript, commands are the lines that begin with "$ ", and the others are what they print.
package pages

import (
	"fmt"
	"regexp"
	"strings"
)

// OfRelease are the pages whose commands the test of a release runs, in root file systems of Debian.
var OfRelease = []string{"README.md", "docs/accounts.md", "docs/fakeroot.md"}

// Block is a block of code of a page.
type Block struct {
	Line     int      // the number of its first line
	NotRun   string   // why no test runs it, or empty
	Language string   // that a fence names, or empty
	Lines    []string // without the indentation
}

// drawings are the languages of fences that hold no commands.
var drawings = map[string]bool{"mermaid": true}

// marker matches a comment that says why a block is not run.
var marker = regexp.MustCompile(`(?s)^<!-- not run: (\S.*\S) -->$`)

// Parse returns the blocks of a page. It is an error if a marker stands before no block.
func Parse(page string) ([]Block, error) {
	var blocks []Block
	var reason string
	lines := strings.Split(page, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		switch {
		case line == "":
		case strings.HasPrefix(strings.TrimLeft(line, " "), "<!-- not run"):
			start := i
			for i < len(lines) && !strings.HasSuffix(lines[i], "-->") {
				i++
			}
			found := marker.FindStringSubmatch(strings.TrimLeft(strings.Join(lines[start:min(i+1, len(lines))], "\n"), " "))
			if found == nil || reason != "" {
				return nil, fmt.Errorf("line %d: want one comment of the form <!-- not run: REASON -->", start+1)
			}
			reason = strings.Join(strings.Fields(found[1]), " ")
		case strings.HasPrefix(line, "```"):
			b := Block{Line: i + 2, NotRun: reason, Language: line[3:]}
			for i++; i < len(lines) && lines[i] != "```"; i++ {
				b.Lines = append(b.Lines, lines[i])
			}
			if i == len(lines) {
				return nil, fmt.Errorf("line %d: the fence is not closed", b.Line-1)
			}
			if drawings[b.Language] {
				continue
			}
			blocks, reason = append(blocks, b), ""
		case strings.HasPrefix(line, "    ") && (i == 0 || lines[i-1] == ""):
			b := Block{Line: i + 1, NotRun: reason}
			for ; i < len(lines) && (lines[i] == "" || strings.HasPrefix(lines[i], "    ")); i++ {
				b.Lines = append(b.Lines, strings.TrimPrefix(lines[i], "    "))
			}
			i--
			for b.Lines[len(b.Lines)-1] == "" {
				b.Lines = b.Lines[:len(b.Lines)-1]
			}
			blocks, reason = append(blocks, b), ""
		case reason != "":
			return nil, fmt.Errorf("line %d: a comment says that this is not run, which is no code", i+1)
		}
	}
	if reason != "" {
		return nil, fmt.Errorf("the last comment has no code")
	}
	return blocks, nil
}

// IsTranscript reports whether the block shows what its commands print.
func (b Block) IsTranscript() bool { return strings.HasPrefix(b.Lines[0], "$ ") }

// Transcript returns the commands of a transcript, without the comments after them, and what they
// print, without dates.
func (b Block) Transcript() (commands []string, printed string) {
	for _, line := range b.Lines {
		if typed, ok := strings.CutPrefix(line, "$ "); ok {
			typed, _, _ = strings.Cut(typed, "   #")
			commands = append(commands, strings.TrimSpace(typed))
		} else if line != "" {
			printed += line + "\n"
		}
	}
	return commands, Undated(printed)
}

// date matches the time of a file in the output of ls -l, and the spaces before it, of which there
// are more or fewer with the length of the ids.
var date = regexp.MustCompile(` +[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{5} `)

// Undated returns the output of ls -l without dates.
func Undated(text string) string { return date.ReplaceAllString(text, " DATE ") }

// needTerminal matches the commands whose programs want a terminal.
var needTerminal = regexp.MustCompile(`(^| )(subuidless runtime run|crun run|runc run|subuidless run .*bash$)`)

// agent matches a command that starts an agent in the background.
var agent = regexp.MustCompile(`^subuidless agent (\S+) &$`)

// Scripted returns what a script executes instead of a command that a user types: a program that
// wants a terminal gets one, on which somebody types exit, and after an agent, the script waits
// until it listens. The process ids of agents are in $agents.
func Scripted(command string) string {
	if needTerminal.MatchString(command) {
		return "while sleep 0.1; do echo exit; done | script -qec '" + command + "' /dev/null"
	}
	if found := agent.FindStringSubmatch(command); found != nil {
		return fmt.Sprintf("%s\nagents=\"${agents-} $!\"\nuntil test -S %s; do kill -0 $!; sleep 0.1; done", command, found[1])
	}
	return command
}
