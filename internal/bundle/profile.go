package bundle

import (
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// profile answers what a seccomp profile does with a call, by the rules of
// libseccomp and of how runc and crun use it:
//   - a rule whose action is the default action is ignored,
//   - an unconditional rule beats all conditional rules for the same call, and
//     the first unconditional one beats the others,
//   - a rule with several comparisons of one argument is taken as one rule for
//     each comparison.
type profile struct{ sec *specs.LinuxSeccomp }

// grant is a condition on which a profile lets a call pass, and how.
type grant struct {
	when   condition
	action specs.LinuxSeccompAction
}

// grants returns the conditions on which the profile lets a call pass; none if
// it denies the call. Decided says that an unconditional rule makes all other
// rules for the call ineffective.
func (p profile) grants(name string) (grants []grant, decided bool, err error) {
	rules := p.rulesFor(name)
	if i := slices.IndexFunc(rules, isUnconditional); i >= 0 {
		if passes(rules[i].Action) {
			grants = []grant{{condition{}, passAction(rules[i])}}
		}
		return grants, true, nil
	}
	defaultPasses := passes(p.sec.DefaultAction)
	undenied := []condition{{}} // where no rule denies the call
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
				return nil, false, fmt.Errorf("the seccomp profile denies %s on conditions that cannot be excepted from notification (%w): deny the call entirely, or use SCMP_CMP_EQ or SCMP_CMP_MASKED_EQ", name, err)
			}
		}
	}
	if !defaultPasses {
		return grants, false, nil
	}
	grants = nil // what passes by a rule passes by default, too
	for _, c := range undenied {
		grants = append(grants, grant{c, p.sec.DefaultAction})
	}
	return grants, false, nil
}

// rulesFor returns the rules for a call that the runtimes do not ignore.
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

// passAction is the action for those calls of a passing rule that are not
// notified. An earlier Inject may have made NOTIFY of what was ALLOW.
func passAction(rule *specs.LinuxSyscall) specs.LinuxSeccompAction {
	if rule.Action == specs.ActNotify {
		return specs.ActAllow
	}
	return rule.Action
}

// isDefault tells whether the runtimes ignore a rule because it says what the
// profile says for every call.
func (p profile) isDefault(rule *specs.LinuxSyscall) bool {
	if rule.Action != p.sec.DefaultAction {
		return false
	}
	return errnoOf(rule.ErrnoRet) == errnoOf(p.sec.DefaultErrnoRet)
}

// errnoOf is what the runtimes take for an absent errnoRet: EPERM.
func errnoOf(ret *uint) uint {
	if ret == nil {
		return 1
	}
	return *ret
}

// conditionsOf returns the conditions on which a rule holds.
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
