package bundle

import (
	"errors"
	"math/bits"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// condition is the condition of one rule of a seccomp profile on the call's arguments: a
// conjunction of comparisons, at most one for each argument (libseccomp rejects more). The
// empty condition always holds.
type condition []specs.LinuxSeccompArg

// errTwoComparisons means that a conjunction needs two comparisons of the same argument, so
// that no single rule can express it.
var errTwoComparisons = errors.New("two comparisons of one argument cannot be in one seccomp rule")

const allBits = ^uint64(0)

// maskedEqual returns the comparison argument & mask == value.
func maskedEqual(index uint, mask, value uint64) specs.LinuxSeccompArg {
	if mask == allBits {
		return specs.LinuxSeccompArg{Index: index, Value: value, Op: specs.OpEqualTo}
	}
	return specs.LinuxSeccompArg{Index: index, Value: mask, ValueTwo: value, Op: specs.OpMaskedEqual}
}

// asMask returns a in the form argument & mask == value; ok is false if it does not have
// this form.
func asMask(a specs.LinuxSeccompArg) (mask, value uint64, ok bool) {
	switch a.Op {
	case specs.OpEqualTo:
		return allBits, a.Value, true
	case specs.OpMaskedEqual:
		return a.Value, a.ValueTwo & a.Value, true
	}
	return 0, 0, false
}

// and returns the condition that holds exactly where both c and d hold. The bool is false if
// they never hold at the same time. The error is errTwoComparisons.
func (c condition) and(d condition) (condition, bool, error) {
	both := slices.Clone(c)
	for _, a := range d {
		i := slices.IndexFunc(both, func(b specs.LinuxSeccompArg) bool { return a.Index == b.Index })
		if i < 0 {
			both = append(both, a)
			continue
		}
		if both[i] == a {
			continue
		}
		merged, possible, err := merge(a, both[i])
		if !possible || err != nil {
			return nil, false, err
		}
		both[i] = merged
	}
	return both, true, nil
}

// merge returns the comparison that holds exactly where both a and b hold, which compare the
// same argument. The bool and the error are those of and.
func merge(a, b specs.LinuxSeccompArg) (specs.LinuxSeccompArg, bool, error) {
	if b.Op == specs.OpEqualTo {
		a, b = b, a
	}
	if a.Op == specs.OpEqualTo {
		return a, admits(b, a.Value), nil
	}
	maskA, valueA, okA := asMask(a)
	maskB, valueB, okB := asMask(b)
	if !okA || !okB {
		return a, false, errTwoComparisons
	}
	return maskedEqual(a.Index, maskA|maskB, valueA|valueB), (valueA^valueB)&maskA&maskB == 0, nil
}

// admits reports whether a holds for the argument x.
func admits(a specs.LinuxSeccompArg, x uint64) bool {
	switch a.Op {
	case specs.OpNotEqual:
		return x != a.Value
	case specs.OpLessThan:
		return x < a.Value
	case specs.OpLessEqual:
		return x <= a.Value
	case specs.OpGreaterEqual:
		return x >= a.Value
	case specs.OpGreaterThan:
		return x > a.Value
	}
	mask, value, _ := asMask(a)
	return x&mask == value
}

// minus returns conditions that together hold exactly where one of set holds and c does not.
// If those in set are disjoint, the returned ones are disjoint, too: libseccomp does not
// define which of two overlapping rules applies. The error is errTwoComparisons.
func minus(set []condition, c condition) ([]condition, error) {
	var rest []condition
	for _, s := range set {
		_, overlap, err := s.and(c)
		if err != nil {
			return nil, err
		}
		if !overlap {
			rest = append(rest, s)
			continue
		}
		// c does not hold if its first comparison fails, or if the first holds and the
		// second fails, and so on: these cases are disjoint.
		for _, a := range c {
			for _, n := range negations(a) {
				part, possible, err := s.and(condition{n})
				if err != nil {
					return nil, err
				}
				if possible {
					rest = append(rest, part)
				}
			}
			// Always possible, because s and c overlap.
			if s, _, err = s.and(condition{a}); err != nil {
				return nil, err
			}
		}
	}
	return rest, nil
}

var opposite = map[specs.LinuxSeccompOperator]specs.LinuxSeccompOperator{
	specs.OpEqualTo:      specs.OpNotEqual,
	specs.OpNotEqual:     specs.OpEqualTo,
	specs.OpLessThan:     specs.OpGreaterEqual,
	specs.OpGreaterEqual: specs.OpLessThan,
	specs.OpGreaterThan:  specs.OpLessEqual,
	specs.OpLessEqual:    specs.OpGreaterThan,
}

// negations returns disjoint comparisons. Exactly where a does not hold, one of them does.
func negations(a specs.LinuxSeccompArg) []specs.LinuxSeccompArg {
	if op, ok := opposite[a.Op]; ok {
		return []specs.LinuxSeccompArg{{Index: a.Index, Value: a.Value, Op: op}}
	}
	mask, value, _ := asMask(a)
	var negated []specs.LinuxSeccompArg
	var equal uint64 // the bits compared as in a
	for mask != 0 {
		bit := uint64(1) << (bits.Len64(mask) - 1)
		mask &^= bit
		negated = append(negated, maskedEqual(a.Index, equal|bit, value&equal|^value&bit))
		equal |= bit
	}
	return negated
}

// joined returns fewer conditions that together hold exactly where those of set do: two that
// differ in one bit become one. If those in set are disjoint, the returned ones are, too.
func joined(set []condition) []condition {
	var done []condition
	for _, c := range set {
		for i := 0; i < len(done); {
			both, ok := done[i].join(c)
			if !ok {
				i++
				continue
			}
			// It may differ in one bit from those that c did not join.
			c, done, i = both, slices.Delete(done, i, i+1), 0
		}
		done = append(done, c)
	}
	return done
}

// join returns the condition that holds exactly where c or d holds, if they differ in one bit of
// one argument.
func (c condition) join(d condition) (both condition, ok bool) {
	if len(c) != len(d) {
		return nil, false
	}
	for _, a := range c {
		i := slices.IndexFunc(d, func(b specs.LinuxSeccompArg) bool { return a.Index == b.Index })
		if i < 0 {
			return nil, false
		}
		maskA, valueA, okA := asMask(a)
		maskB, valueB, okB := asMask(d[i])
		bit := valueA ^ valueB
		switch {
		case a == d[i]:
			both = append(both, a)
		case ok || !okA || !okB || maskA != maskB || bits.OnesCount64(bit) != 1:
			return nil, false
		default:
			ok = true
			if mask := maskA &^ bit; mask != 0 {
				both = append(both, maskedEqual(a.Index, mask, valueA&mask))
			}
		}
	}
	return both, ok
}
