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

// edit is a change of a profile.
type edit struct {
	added         []specs.LinuxSyscall // rules to insert before the old ones
	kept          [][]string           // the names that each old rule keeps
	architectures []specs.Arch         // the new list
}

// injection returns the change of a seccomp profile that makes the calls of rows notified. It
// returns an edit instead of a profile, because specs-go does not know all members of a
// profile.
//
// Calls that the profile denies stay denied: only those that it lets pass are notified. If a
// row is notified for some arguments only, its call gets conditional rules for both cases,
// because libseccomp silently drops conditional rules for a call that has an unconditional
// one.
//
// Architectures that the profile lists are kept: libseccomp kills callers of all others. If
// it lists none, the edit lists all those of this machine, so that 32-bit programs run and
// are notified, too.
func injection(sec *specs.LinuxSeccomp, rows []syscalls.Row) (*edit, error) {
	p := profile{sec}
	if err := p.checkNotified(rows); err != nil {
		return nil, err
	}
	var r ruleSet
	replaced := map[string]bool{} // calls whose passing rules are replaced
	decided := map[string]bool{}  // calls that passed by an unconditional rule
	for i := range rows {
		row := &rows[i]
		if len(row.WhenBundled) > 0 {
			bundled := *row
			bundled.When = row.WhenBundled
			row = &bundled
		}
		if row.Support == syscalls.Native && !p.notifiesUnchecked(row) {
			continue
		}
		grants, unconditional, err := p.grants(row.Name)
		if err != nil {
			return nil, err
		}
		replaced[row.Name] = true
		decided[row.Name] = unconditional && len(grants) > 0
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
			// When the unconditional rule is removed, conditional denials that it made
			// ineffective must not become effective, so they are removed, too.
			return decided[name] || replaced[name] && passes(rule.Action)
		}))
	}
	if len(e.architectures) == 0 {
		e.architectures = machineArches[runtime.GOARCH]
	}
	return e, nil
}

// machineArches are, for each GOARCH, the architectures whose programs the kernel executes.
var machineArches = map[string][]specs.Arch{
	"amd64": {specs.ArchX86_64, specs.ArchX86, specs.ArchX32},
	"arm64": {specs.ArchAARCH64, specs.ArchARM},
}

// passes reports whether a call with action a is executed, by the kernel or by an agent.
func passes(a specs.LinuxSeccompAction) bool {
	return a == specs.ActAllow || a == specs.ActLog || a == specs.ActNotify
}

// ruleSet is a list of rules to add. Calls with the same condition and action share a rule.
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

// addRow adds the rules of row for the calls that the profile lets pass by g.
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
	when := row.When
	if g.action != defaultAction {
		when = widen(when)
	}
	notified, rest, err := split(g.when, when)
	if errors.Is(err, errTwoComparisons) {
		// The profile uses an order comparison (such as SCMP_CMP_GE) of an argument that
		// the row tests. The supervisor then gets more notifications than necessary,
		// and never fewer.
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

// lowBits is the mask of the bits that distinguish small numbers.
const lowBits = 1<<7 - 1

// widen returns conditions that hold at least where the given ones hold, and whose negations
// need fewer rules: a negation takes one rule for each compared bit, and a container starts more
// slowly the more rules there are. So a test for a number compares its low bits only. The
// supervisor continues the calls that are notified unnecessarily.
func widen(conditions []syscalls.Condition) []syscalls.Condition {
	var wide []syscalls.Condition
	for _, c := range conditions {
		c = slices.Clone(c)
		for i, t := range c {
			if t.Mask == math.MaxUint32 {
				c[i].Mask, c[i].Value = lowBits, t.Value&lowBits
			}
		}
		wide = append(wide, c)
	}
	return wide
}

// split divides c into conditions under which one of those of a row holds, and conditions under
// which none does. All of them are disjoint. The error is errTwoComparisons.
func split(c condition, when []syscalls.Condition) (notified, rest []condition, err error) {
	rest = []condition{c}
	for _, tests := range when {
		var test condition
		for _, t := range tests {
			test = append(test, maskedEqual(t.Index, uint64(t.Mask), uint64(t.Value)))
		}
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
	return joined(notified), joined(rest), nil
}

// notifiesUnchecked reports whether the profile notifies the call of a native row only because
// an earlier Rewrite was with permissions, and this one is without.
func (p profile) notifiesUnchecked(row *syscalls.Row) bool {
	return row.Checks == syscalls.ChecksOnly && slices.ContainsFunc(p.rulesFor(row.Name), func(r *specs.LinuxSyscall) bool { return r.Action == specs.ActNotify })
}

// checkNotified returns an error if the profile already notifies calls that subuidless does
// not handle: they are for another agent, and the kernel allows only one for a container.
func (p profile) checkNotified(rows []syscalls.Row) error {
	const remedy = "a container can have only one seccomp agent: remove the rule, or use the other agent without subuidless"
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
				return fmt.Errorf("the seccomp profile notifies %s, which subuidless does not handle: %s", name, remedy)
			}
		}
	}
	return nil
}
