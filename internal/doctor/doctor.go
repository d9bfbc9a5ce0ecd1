// Package doctor finds out what this machine can do for subuidless, and says
// it in words that a user can act on. It tries things rather than to compare
// version numbers: distributions backport, and administrators forbid.
package doctor

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// Weight says how much a check matters.
type Weight int

const (
	// Needed parts must be there, or subuidless cannot run.
	Needed Weight = iota
	// Useful parts make it faster or more complete.
	Useful
	// Informative checks only tell what is there.
	Informative
)

// Check is one thing to find out about the machine.
type Check struct {
	Name    string
	Weight  Weight
	Since   string // the first kernel that has it; empty if that is not a matter of the kernel
	Without string // what is lost without it
	// Probe tries it out. The text says what was found; the error, what is
	// wrong and what to do about it.
	Probe func(*Machine) (found string, err error)
}

// Machine is what the probes work on.
type Machine struct {
	Dir string // the directory whose file system is asked about

	listener func() listener // what a seccomp listener can do, found out once
}

// NewMachine returns the machine as seen from the directory dir.
func NewMachine(dir string) *Machine {
	return &Machine{Dir: dir, listener: sync.OnceValue(tryListener)}
}

// Finding is the outcome of a Check.
type Finding struct {
	Check Check
	Found string
	Err   error
}

// Status is one word for the outcome.
func (f Finding) Status() string {
	switch {
	case f.Check.Weight == Informative:
		return "note"
	case f.Err == nil:
		return "ok"
	case f.Check.Weight == Needed:
		return "missing"
	}
	return "degraded"
}

// Examine runs the checks on m.
func Examine(m *Machine, checks []Check) []Finding {
	findings := make([]Finding, 0, len(checks))
	for _, c := range checks {
		found, err := c.Probe(m)
		findings = append(findings, Finding{Check: c, Found: found, Err: err})
	}
	return findings
}

// Missing counts the needed parts that are not there.
func Missing(findings []Finding) int {
	n := 0
	for _, f := range findings {
		if f.Status() == "missing" {
			n++
		}
	}
	return n
}

// Print writes one aligned entry for each finding, and a verdict.
func Print(w io.Writer, findings []Finding) error {
	width := 0
	for _, f := range findings {
		width = max(width, len(f.Check.Name))
	}
	var b strings.Builder
	for _, f := range findings {
		indent := "\n" + strings.Repeat(" ", len("degraded")+2+width+2)
		entry := fmt.Sprintf("%-8s  %-*s  %s", f.Status(), width, f.Check.Name, strings.Join(f.lines(), indent))
		b.WriteString(strings.TrimRight(entry, " ") + "\n")
	}
	switch n := Missing(findings); n {
	case 0:
		b.WriteString("\nsubuidless can run on this machine.\n")
	case 1:
		b.WriteString("\nsubuidless cannot run on this machine: a part that it needs is missing.\n")
	default:
		fmt.Fprintf(&b, "\nsubuidless cannot run on this machine: %d parts that it needs are missing.\n", n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// lines are what there is to say about a finding.
func (f Finding) lines() []string {
	if f.Err == nil {
		if f.Found == "" && f.Check.Since != "" {
			return []string{"since " + f.Check.Since}
		}
		return []string{f.Found}
	}
	lines := strings.Split(f.Err.Error(), "\n")
	if f.Check.Since != "" {
		lines = append(lines, "comes with "+f.Check.Since)
	}
	if f.Check.Without != "" {
		lines = append(lines, "without it "+f.Check.Without)
	}
	return lines
}
