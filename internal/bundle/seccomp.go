package bundle

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/syscalls"
)

// edit is how a profile has to change.
type edit struct {
	added         []specs.LinuxSyscall // to come first
	kept          [][]string           // the names that each of the old rules keeps
	architectures []specs.Arch
}

// injection computes how a seccomp profile has to change so that the calls of rows are
// notified. It returns an edit, and no profile, because specs-go does not know all
// members of one.
//
// What the profile denies stays denied: only calls that it would have let pass
// are notified. A call that a row notifies for some arguments only gets
// conditional rules for both cases, because libseccomp drops a conditional rule
// silently where the same call has an unconditional one.
//
// If the profile lists architectures they are kept: libseccomp kills callers
// of any other. If it lists none, all those of this machine are listed, so
// that 32-bit programs run and are notified, too.
func injection(sec *specs.LinuxSeccomp, rows []syscalls.Row) (*edit, error) {
	p := profile{sec}
	if err := p.checkNotified(rows); err != nil {
		return nil, err
	}
	var r ruleSet
	taken := map[string]bool{}   // has new rules, where it passed
	decided := map[string]bool{} // an unconditional rule said so
	for i := range rows {
		row := &rows[i]
		if row.Support == syscalls.Native && !p.leftOver(row) {
			continue
		}
		grants, byOne, err := p.grants(row.Name)
		if err != nil {
			return nil, err
		}
		taken[row.Name] = true
		decided[row.Name] = byOne && len(grants) > 0
		for _, g := range grants {
			if err := r.addRow(row, g, sec.DefaultAction); err != nil {
				return nil, err
			}
		}
	}
	e := &edit{added: r.rules, architectures: sec.Architectures}
	for i := range sec.Syscalls {
		rule := &sec.Syscalls[i]
		e.kept = append(e.kept, slices.DeleteFunc(slices.Clone(rule.Names), func(name string) bool {
			// A conditional denial that had no effect beside an unconditional
			// rule must not come to life when that one goes.
			return decided[name] || taken[name] && passes(rule.Action)
		}))
	}
	if len(e.architectures) == 0 {
		e.architectures = machineArches[runtime.GOARCH]
	}
	return e, nil
}

// machineArches are the ABIs that a kernel for each GOARCH executes.
var machineArches = map[string][]specs.Arch{
	"amd64": {specs.ArchX86_64, specs.ArchX86, specs.ArchX32},
	"arm64": {specs.ArchAARCH64, specs.ArchARM},
}

// passes tells whether a call with this action is executed by the kernel, or
// by an agent.
func passes(a specs.LinuxSeccompAction) bool {
	return a == specs.ActAllow || a == specs.ActLog || a == specs.ActNotify
}

// ruleSet is the list of added rules. Names with the same condition and action
// share a rule.
type ruleSet struct{ rules []specs.LinuxSyscall }

func (r *ruleSet) add(name string, action specs.LinuxSeccompAction, errnoRet *uint, c condition) {
	for i := range r.rules {
		rule := &r.rules[i]
		if rule.Action == action && slices.Equal(rule.Args, c) {
			if !slices.Contains(rule.Names, name) {
				rule.Names = append(rule.Names, name)
			}
			return
		}
	}
	r.rules = append(r.rules, specs.LinuxSyscall{Names: []string{name}, Action: action, ErrnoRet: errnoRet, Args: c})
}

// addRow adds the rules of one row, for calls that the profile lets pass by g.
func (r *ruleSet) addRow(row *syscalls.Row, g grant, defaultAction specs.LinuxSeccompAction) error {
	if row.Support == syscalls.Refused {
		enosys := uint(unix.ENOSYS)
		r.add(row.Name, specs.ActErrno, &enosys, g.when)
		return nil
	}
	if row.Support == syscalls.Native {
		if g.action != defaultAction {
			r.add(row.Name, g.action, nil, g.when)
		}
		return nil
	}
	if len(row.When) == 0 {
		r.add(row.Name, specs.ActNotify, nil, g.when)
		return nil
	}
	tests := row.When
	if g.action != defaultAction {
		tests = widen(tests)
	}
	notified, rest, err := split(g.when, tests)
	if errors.Is(err, errTwoComparisons) {
		// The profile compares the argument that the row is about by order.
		// Then the supervisor sees more calls than it must; never fewer.
		r.add(row.Name, specs.ActNotify, nil, g.when)
		return nil
	}
	if err != nil {
		return err
	}
	for _, c := range notified {
		r.add(row.Name, specs.ActNotify, nil, c)
	}
	if g.action == defaultAction {
		return nil
	}
	for _, c := range rest {
		r.add(row.Name, g.action, nil, c)
	}
	return nil
}

// lowBits are as many as tell small numbers apart.
const lowBits = 1<<7 - 1

// widen returns tests that hold wherever those given do. "This int is not 10" takes
// a rule for each bit that is compared, and a runtime's start time is made of rules:
// so of whole numbers only the low bits are compared. What is notified without need
// the supervisor lets pass.
func widen(tests []syscalls.ArgTest) []syscalls.ArgTest {
	wide := slices.Clone(tests)
	for i, t := range wide {
		if t.Mask == math.MaxUint32 {
			wide[i].Mask, wide[i].Value = lowBits, t.Value&lowBits
		}
	}
	return wide
}

// split divides a condition into parts where one of tests holds, and parts where
// none does. All are disjoint.
func split(c condition, tests []syscalls.ArgTest) (notified, rest []condition, err error) {
	rest = []condition{c}
	for _, t := range tests {
		test := condition{maskedEqual(t.Index, uint64(t.Mask), uint64(t.Value))}
		for _, r := range rest {
			part, possible, err := r.and(test)
			if err != nil {
				return nil, nil, err
			}
			if possible {
				notified = append(notified, part)
			}
		}
		if rest, err = minus(rest, test); err != nil {
			return nil, nil, err
		}
	}
	return notified, rest, nil
}

// leftOver tells whether the profile notifies the call of a native row because it was once
// made with permissions, and is now to be made without.
func (p profile) leftOver(row *syscalls.Row) bool {
	return row.Checks == syscalls.ChecksOnly && slices.ContainsFunc(p.rulesFor(row.Name), func(r *specs.LinuxSyscall) bool { return r.Action == specs.ActNotify })
}

// checkNotified reports calls that the profile already notifies, and that
// subuidless does not answer: the kernel allows one agent for a container.
func (p profile) checkNotified(rows []syscalls.Row) error {
	const remedy = "a container has one seccomp agent: remove the rule, or use the other agent without subuidless"
	if p.sec.DefaultAction == specs.ActNotify {
		return fmt.Errorf("the seccomp profile has defaultAction %s: %s", specs.ActNotify, remedy)
	}
	for _, rule := range p.sec.Syscalls {
		if rule.Action != specs.ActNotify {
			continue
		}
		for _, name := range rule.Names {
			if !slices.ContainsFunc(rows, func(r syscalls.Row) bool {
				return r.Name == name && (r.Support == syscalls.Emulated || r.Checks == syscalls.ChecksOnly)
			}) {
				return fmt.Errorf("the seccomp profile notifies %s, which subuidless does not answer: %s", name, remedy)
			}
		}
	}
	return nil
}
