package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// program is a list of operations. As text, it has one operation per line:
//
//	ACTOR CALL ARGUMENT... [-> VARIABLE]
//	1 openat AT_FDCWD "d1/a" O_RDWR|O_CREAT 0644 -> f0
//
// Actor 1 exists from the start, as root; "1 fork 2" and "1 thread 3" create others. The
// operations run one after another. Arguments are words, whose meaning depends on the
// call (calls.go, arguments.go). Lines that begin with # are comments. The line "chroot"
// makes the program's directory its root directory before it starts.
type program struct {
	Chroot bool
	Ops    []op
}

// op is one line of a program.
type op struct {
	Actor int
	Call  *call
	Args  []string
	Store int // the variable that gets the return value, or -1
}

// maxActors and maxVariables are the limits of the interpreter (shared.h).
const (
	maxActors    = 5
	maxVariables = 64
)

func (o op) String() string {
	words := append([]string{strconv.Itoa(o.Actor), o.Call.name}, o.Args...)
	if o.Store >= 0 {
		words = append(words, "->", "f"+strconv.Itoa(o.Store))
	}
	return strings.Join(words, " ")
}

// usesIPC reports whether the program needs an IPC namespace of its own.
func (p program) usesIPC() bool {
	return slices.ContainsFunc(p.Ops, func(o op) bool { return o.Call.feature == "ipc" })
}

func (p program) String() string {
	var b strings.Builder
	if p.Chroot {
		b.WriteString("chroot\n")
	}
	for _, o := range p.Ops {
		b.WriteString(o.String() + "\n")
	}
	return b.String()
}

// parse parses a program. Errors name the line.
func parse(text string) (program, error) {
	var p program
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line == "chroot":
			p.Chroot = true
		default:
			o, err := parseOp(line)
			if err != nil {
				return program{}, fmt.Errorf("line %d: %w", i+1, err)
			}
			p.Ops = append(p.Ops, o)
		}
	}
	return p, nil
}

func parseOp(line string) (op, error) {
	words, err := split(line)
	if err != nil {
		return op{}, err
	}
	if len(words) < 2 {
		return op{}, fmt.Errorf("no call: %s", line)
	}
	o := op{Call: callNamed[words[1]], Store: -1}
	if o.Call == nil {
		return op{}, fmt.Errorf("no such call: %s", words[1])
	}
	if o.Actor, err = strconv.Atoi(words[0]); err != nil || o.Actor < 1 || o.Actor > maxActors {
		return op{}, fmt.Errorf("no such actor: %s", words[0])
	}
	words = words[2:]
	if n := len(words); n >= 2 && words[n-2] == "->" {
		if o.Store, err = variable(words[n-1]); err != nil {
			return op{}, err
		}
		words = words[:n-2]
	}
	if len(words) != len(o.Call.params) {
		return op{}, fmt.Errorf("%s takes %d arguments, not %d", o.Call.name, len(o.Call.params), len(words))
	}
	o.Args = words
	return o, nil
}

// variable returns the number of a variable, such as 12 of f12.
func variable(word string) (int, error) {
	if digits, ok := strings.CutPrefix(word, "f"); ok {
		if n, err := strconv.Atoi(digits); err == nil && n >= 0 && n < maxVariables {
			return n, nil
		}
	}
	return 0, fmt.Errorf("no such variable: %s", word)
}

// split splits a line into words at blanks outside of quotes.
func split(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	for rest := line; rest != ""; {
		switch rest[0] {
		case ' ':
			if word.Len() > 0 {
				words = append(words, word.String())
				word.Reset()
			}
			rest = rest[1:]
		case '"':
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", rest, err)
			}
			word.WriteString(quoted)
			rest = rest[len(quoted):]
		default:
			word.WriteByte(rest[0])
			rest = rest[1:]
		}
	}
	if word.Len() > 0 {
		words = append(words, word.String())
	}
	return words, nil
}
