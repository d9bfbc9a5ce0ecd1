package bundle

import (
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// profile interprets a seccomp profile like libseccomp, and like runc and crun, which use
// libseccomp:
//   - A rule whose action is the default action is ignored.
//   - An unconditional rule takes precedence over all conditional rules for the same call,
//     and the first unconditional rule over the others.
//   - A rule with several comparisons of one argument is equivalent to one rule for each
//     comparison.
type profile struct{ sec *specs.LinuxSeccomp }

// grant is a condition under which a profile lets a call pass, and the action by which it
// does: see passes.
type grant struct {
	when   condition
	action specs.LinuxSeccompAction
}

// grants returns the conditions under which the profile lets the call name pass; none if the
// profile denies the call. Decided reports whether an unconditional rule makes all other
// rules for the call ineffective. It is an error if no rules can express the conditions.
func (p profile) grants(name string) (grants []grant, decided bool, err error) {
	rules := p.rulesFor(name)
	if i := slices.IndexFunc(rules, isUnconditional); i >= 0 {
		if passes(rules[i].Action) {
			grants = []grant{{condition{}, passAction(rules[i])}}
		}
		return grants, true, nil
	}
	defaultPasses := passes(p.sec.DefaultAction)
	undenied := []condition{{}} // the conditions under which no rule denies the call
	for _, rule := range rules {
		conditions, err := conditionsOf(rule)
		if err != nil {
			return nil, false, fmt.Errorf("the seccomp profile's rule for %s: %w", name, err)
		}
		for _, c := range conditions {
			if passes(rule.Action) {
				grants = append(grants, grant{c, passAction(rule)})
				continue
			}
			if !defaultPasses {
				continue
			}
			if undenied, err = minus(undenied, c); err != nil {
				return nil, false, fmt.Errorf("the seccomp profile denies %s under conditions that cannot be excluded from notification (%w): deny the call unconditionally, or compare with SCMP_CMP_EQ or SCMP_CMP_MASKED_EQ", name, err)
			}
		}
	}
	if !defaultPasses {
		return grants, false, nil
	}
	grants = nil // calls that pass by a rule would also pass by default
	for _, c := range undenied {
		grants = append(grants, grant{c, p.sec.DefaultAction})
	}
	return grants, false, nil
}

// rulesFor returns the rules for the call name, except those that the runtimes ignore.
func (p profile) rulesFor(name string) []*specs.LinuxSyscall {
	var rules []*specs.LinuxSyscall
	for i := range p.sec.Syscalls {
		if rule := &p.sec.Syscalls[i]; slices.Contains(rule.Names, name) && !p.isDefault(rule) {
			rules = append(rules, rule)
		}
	}
	return rules
}

func isUnconditional(rule *specs.LinuxSyscall) bool { return len(rule.Args) == 0 }

// passAction returns the action for the calls of a passing rule that are not to be notified.
// For NOTIFY this is ALLOW: an earlier Rewrite may have replaced it.
func passAction(rule *specs.LinuxSyscall) specs.LinuxSeccompAction {
	if rule.Action == specs.ActNotify {
		return specs.ActAllow
	}
	return rule.Action
}

// isDefault reports whether the runtimes ignore rule, because it does what the profile does by
// default.
func (p profile) isDefault(rule *specs.LinuxSyscall) bool {
	if rule.Action != p.sec.DefaultAction {
		return false
	}
	return errnoOf(rule.ErrnoRet) == errnoOf(p.sec.DefaultErrnoRet)
}

// errnoOf returns the value of an errnoRet, which is EPERM if it is absent.
func errnoOf(ret *uint) uint {
	if ret == nil {
		return 1
	}
	return *ret
}

// conditionsOf returns the conditions under which rule applies. It is an error if rule has an
// unknown operator.
func conditionsOf(rule *specs.LinuxSyscall) ([]condition, error) {
	seen := map[uint]bool{}
	several := false
	for _, a := range rule.Args {
		if _, ok := opposite[a.Op]; !ok && a.Op != specs.OpMaskedEqual {
			return nil, fmt.Errorf("unknown operator %q", a.Op)
		}
		several = several || seen[a.Index]
		seen[a.Index] = true
	}
	if !several {
		return []condition{slices.Clone(rule.Args)}, nil
	}
	var each []condition
	for _, a := range rule.Args {
		each = append(each, condition{a})
	}
	return each, nil
}
