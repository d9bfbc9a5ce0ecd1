package bundle

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-containers/subuidless/internal/syscalls"
)

// EngineProfile returns profile, the text of a seccomp profile as podman and docker read it
// (seccomp_profile in containers.conf, --security-opt seccomp=FILE), changed so that the calls
// of rows are sent to an agent. Socket is the absolute path of the agent's socket, which may
// be empty. Everything else stays.
//
// Such a profile differs from linux.seccomp of a config.json: rules may depend on the
// container's capabilities, on the architecture and on the kernel (includes and excludes), and
// archMap may replace architectures. It is an error if the profile is not valid, is for
// another agent, or lets calls pass by default and has rules with such conditions.
func EngineProfile(profile []byte, socket string, rows []syscalls.Row) ([]byte, error) {
	var raw jsonObject
	if err := json.Unmarshal(profile, &raw); err != nil {
		return nil, err
	}
	var sec specs.LinuxSeccomp
	if err := json.Unmarshal(profile, &sec); err != nil {
		return nil, err
	}
	if err := setListenerPath(&raw, &sec, socket); err != nil {
		return nil, err
	}
	rules, err := readEngineRules(raw)
	if err != nil {
		return nil, err
	}
	conditions := conditionsOfRules(rules)
	if len(conditions) > 1 && passes(sec.DefaultAction) {
		return nil, fmt.Errorf("defaultAction is %s, and rules have includes or excludes: calls that these deny could not stay denied; remove the conditions", sec.DefaultAction)
	}
	e := &edit{architectures: sec.Architectures}
	for _, c := range conditions {
		if rules, e, err = injectConditional(rules, c, sec, rows); err != nil {
			return nil, err
		}
	}
	if raw.index("archMap") < 0 {
		if err := raw.set("architectures", e.architectures); err != nil {
			return nil, err
		}
	}
	written, err := writeEngineRules(rules)
	if err != nil {
		return nil, err
	}
	if err := raw.set("syscalls", written); err != nil {
		return nil, err
	}
	return indentLike(raw, profile)
}

// engineRule is a rule of an engine's profile.
type engineRule struct {
	raw       jsonObject
	rule      specs.LinuxSyscall
	condition string               // includes and excludes, in JSON
	before    []specs.LinuxSyscall // new rules with this condition, to insert before it
}

// readEngineRules returns the rules of a profile.
func readEngineRules(profile jsonObject) ([]engineRule, error) {
	var raw []jsonObject
	if err := profile.get("syscalls", &raw); err != nil {
		return nil, err
	}
	rules := make([]engineRule, len(raw))
	for i := range raw {
		r := &rules[i]
		r.raw = raw[i]
		text, err := encode(raw[i])
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, &r.rule); err != nil {
			return nil, fmt.Errorf("syscalls[%d]: %w", i, err)
		}
		var name string // of old profiles
		if err := r.raw.get("name", &name); err != nil {
			return nil, fmt.Errorf("syscalls[%d].%w", i, err)
		}
		if name != "" {
			r.rule.Names = append(r.rule.Names, name)
			r.raw.remove("name")
		}
		// Absent, null and empty conditions always hold.
		var c struct {
			Includes map[string]json.RawMessage `json:"includes,omitempty"`
			Excludes map[string]json.RawMessage `json:"excludes,omitempty"`
		}
		if err := json.Unmarshal(text, &c); err != nil {
			return nil, fmt.Errorf("syscalls[%d]: %w", i, err)
		}
		canonical, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		r.condition = string(canonical)
	}
	return rules, nil
}

// conditionsOfRules returns the different conditions of rules. The first one always holds.
func conditionsOfRules(rules []engineRule) []string {
	conditions := []string{"{}"}
	for i := range rules {
		if !slices.Contains(conditions, rules[i].condition) {
			conditions = append(conditions, rules[i].condition)
		}
	}
	return conditions
}

// injectConditional applies injection to the rules with the given condition, as if there were
// no others, and returns the new rules. The calls that they let pass are notified under the
// same condition, whichever other rules apply.
func injectConditional(rules []engineRule, condition string, sec specs.LinuxSeccomp, rows []syscalls.Row) ([]engineRule, *edit, error) {
	sec.Syscalls = nil
	var indexes []int
	for i := range rules {
		if rules[i].condition == condition {
			sec.Syscalls = append(sec.Syscalls, rules[i].rule)
			indexes = append(indexes, i)
		}
	}
	e, err := injection(&sec, rows)
	if err != nil {
		return nil, nil, err
	}
	if len(e.added) == 0 {
		return rules, e, nil
	}
	first := 0
	if len(indexes) > 0 {
		first = indexes[0]
	}
	if err := checkPrecedence(rules, first, condition, e.added); err != nil {
		return nil, nil, err
	}
	for k, i := range indexes {
		rules[i].rule.Names = e.kept[k]
	}
	// As in a config.json, the new rules precede those that remain. libseccomp refuses some
	// combinations in another order.
	if len(indexes) == 0 {
		return slices.Insert(rules, 0, engineRule{before: e.added}), e, nil
	}
	rules[first].before = e.added
	return rules, e, nil
}

// checkPrecedence returns an error if a call of added, which are to precede rules[first], the first
// one with the given condition, is denied by a later rule with another condition that had precedence
// before: the first of several unconditional rules applies.
func checkPrecedence(rules []engineRule, first int, condition string, added []specs.LinuxSyscall) error {
	for _, a := range added {
		for _, name := range a.Names {
			for i := first; i < len(rules); i++ {
				r := &rules[i]
				if !slices.Contains(r.rule.Names, name) || !isUnconditional(&r.rule) {
					continue
				}
				if r.condition == condition && passes(r.rule.Action) {
					break
				}
				if r.condition != condition && !passes(r.rule.Action) {
					return fmt.Errorf("syscalls[%d] denies %s under a condition (%s), and a later rule lets it pass under another (%s): put the rule that lets it pass first", i, name, r.condition, condition)
				}
			}
		}
	}
	return nil
}

// writeEngineRules returns the rules in the form of the profile.
func writeEngineRules(rules []engineRule) ([]jsonObject, error) {
	var written []jsonObject
	for i := range rules {
		r := &rules[i]
		for _, added := range r.before {
			text, err := encode(added)
			if err != nil {
				return nil, err
			}
			var o jsonObject
			if err := json.Unmarshal(text, &o); err != nil {
				return nil, err
			}
			for _, name := range []string{"includes", "excludes"} {
				if k := r.raw.index(name); k >= 0 {
					o = append(o, r.raw[k])
				}
			}
			written = append(written, o)
		}
		if len(r.rule.Names) == 0 {
			continue
		}
		if err := r.raw.set("names", r.rule.Names); err != nil {
			return nil, err
		}
		written = append(written, r.raw)
	}
	return written, nil
}
