package pages

import (
	"regexp"
	"strings"
)

// Mention is a command line of subuidless in a text.
type Mention struct {
	Line int      // where it begins
	Args []string // what follows the name of the program; quoting is not removed
}

// inline matches code in a sentence or table, which may continue on the next line.
var inline = regexp.MustCompile("`[^`\n]+(\n[^`\n]+)?`")

// Mentions returns the command lines in a page that Parse accepts: those in its sentences and
// tables, and in all its blocks, whether a test runs them or not.
func Mentions(page string) ([]Mention, error) {
	blocks, err := Parse(page)
	if err != nil {
		return nil, err
	}
	var found []Mention
	lines := strings.Split(page, "\n")
	for _, b := range blocks {
		for i, line := range b.Lines {
			lines[b.Line-1+i] = "" // leaves the sentences
			if typed, ok := strings.CutPrefix(line, "$ "); ok || !b.IsTranscript() {
				if ok {
					line = typed
				}
				found = append(found, inCommand(line, b.Line+i)...)
			}
		}
	}
	text := strings.Join(lines, "\n")
	for _, at := range inline.FindAllStringIndex(text, -1) {
		code := strings.ReplaceAll(text[at[0]+1:at[1]-1], `\|`, "|") // as tables write it
		found = append(found, inCommand(code, 1+strings.Count(text[:at[0]], "\n"))...)
	}
	return found, nil
}

// quoted matches the command lines in prose without markup, as help, messages and comments are:
// those between quotation marks, and those with an option, as in "see subuidless run --help".
var quoted = regexp.MustCompile(`["'](subuidless [^"'%]+)["']|\b(subuidless\s(?:(?:session|sidecar|store|volume)\s)?[a-z]+\s--?[a-z][a-z-]*)`)

// MentionsInProse returns the command lines in a text without markup.
func MentionsInProse(text string) []Mention {
	var found []Mention
	for _, at := range quoted.FindAllStringSubmatchIndex(text, -1) {
		start, end := at[2], at[3]
		if start < 0 {
			start, end = at[4], at[5]
		}
		found = append(found, inCommand(text[start:end], 1+strings.Count(text[:start], "\n"))...)
	}
	return found
}

// program matches the name of the program before a subcommand, a placeholder or an option. Before
// anything else, such as a path, it is an argument of another program.
var program = regexp.MustCompile(`(?:^|[\s;&|(/'"])subuidless\s+(-|[a-z]+(?:[^a-z./]|$)|[A-Z]+\b)`)

// inCommand returns the command lines of subuidless in a line of a shell.
func inCommand(line string, number int) []Mention {
	var found []Mention
	for {
		at := program.FindStringSubmatchIndex(line)
		if at == nil || strings.Contains(line[:at[0]], "#") {
			return found
		}
		line = line[at[2]:]
		found = append(found, Mention{number, arguments(line)})
	}
}

// arguments returns the words of a shell up to the end of the first command.
func arguments(text string) []string {
	var args []string
	for _, word := range strings.Fields(text) {
		if strings.ContainsAny(word[:1], "|&;<>#") {
			break
		}
		cut := strings.TrimRight(word, ");'\"")
		if cut != "" {
			args = append(args, cut)
		}
		if cut != word {
			break
		}
	}
	return args
}
