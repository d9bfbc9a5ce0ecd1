package doctor

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/rootless-containers/subuidless/internal/isolation"
)

// Weight is how important a feature is.
type Weight int

const (
	// Needed features are required: subuidless cannot run without them.
	Needed Weight = iota
	// Useful features make subuidless faster or more complete.
	Useful
	// Informative checks only report what is installed or configured.
	Informative
)

// Check is a check for one feature of the machine.
type Check struct {
	Name    string
	Weight  Weight
	Since   string // the first kernel with the feature, such as "Linux 5.5"; empty: any, or not a kernel feature
	Without string // what does not work without it; completes the sentence "without it, ..."
	// Supervision means that the feature is needed for supervision only: where containers run by
	// chroot instead, it is just worth a note.
	Supervision bool
	// Probe tries the feature. Found is what to print, in one or more lines, and may be
	// empty; err says what is wrong and how to fix it, in one or more lines.
	Probe func(*Machine) (found string, err error)
}

// Machine is the machine that Examine checks.
type Machine struct {
	Dir string // absolute path of the directory whose file system is checked

	listener  func() listener // runs tryListener once, for all checks that need it
	isolation func() isolated // runs tryIsolation once
}

// NewMachine returns the machine that the process runs on. Dir is the absolute path of the
// directory whose file system is checked.
func NewMachine(dir string) *Machine {
	return &Machine{Dir: dir, listener: sync.OnceValue(tryListener), isolation: sync.OnceValue(tryIsolation)}
}

// Finding is the result of a Check. Found and Err are what its Probe returned.
type Finding struct {
	Check Check
	Found string
	Err   error
}

// Status returns the verdict: "note" for an informative check, "ok" if the feature works, and
// otherwise "missing" or "degraded", depending on the check's weight.
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

// Examine runs the checks on m, and returns their findings in the same order.
func Examine(m *Machine, checks []Check) []Finding {
	findings := make([]Finding, 0, len(checks))
	for _, c := range checks {
		found, err := c.Probe(m)
		if c.Supervision && m.isolation().mode == isolation.Chroot {
			c.Weight = Informative
		}
		findings = append(findings, Finding{Check: c, Found: found, Err: err})
	}
	return findings
}

// Missing returns the number of needed features that do not work.
func Missing(findings []Finding) int {
	n := 0
	for _, f := range findings {
		if f.Status() == "missing" {
			n++
		}
	}
	return n
}

// Print writes an aligned table of the findings to w, and a summary. It returns the error of
// writing.
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
		b.WriteString("\nsubuidless cannot run on this machine: a required feature is missing.\n")
	default:
		fmt.Fprintf(&b, "\nsubuidless cannot run on this machine: %d required features are missing.\n", n)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// lines returns the text to print for f, without its status and name.
func (f Finding) lines() []string {
	if f.Err == nil {
		if f.Found == "" && f.Check.Since != "" {
			return []string{"since " + f.Check.Since}
		}
		return strings.Split(f.Found, "\n")
	}
	lines := strings.Split(f.Err.Error(), "\n")
	if f.Check.Since != "" {
		lines = append(lines, "available since "+f.Check.Since)
	}
	if _, ok := f.Err.(transient); f.Check.Without != "" && !ok {
		lines = append(lines, "without it, "+f.Check.Without)
	}
	return lines
}
