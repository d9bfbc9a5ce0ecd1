package bundle

import (
	"errors"
	"math/bits"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// condition is what one rule of a seccomp profile can ask of the arguments: a
// conjunction of comparisons, at most one for each argument (libseccomp
// refuses more). The empty condition always holds.
type condition []specs.LinuxSeccompArg

// errTwoComparisons says that a conjunction needs two comparisons of the same
// argument, which no rule can have.
var errTwoComparisons = errors.New("two comparisons of one argument cannot be in one seccomp rule")

const allBits = ^uint64(0)

// maskedEqual is the comparison argument & mask == value.
func maskedEqual(index uint, mask, value uint64) specs.LinuxSeccompArg {
	if mask == allBits {
		return specs.LinuxSeccompArg{Index: index, Value: value, Op: specs.OpEqualTo}
	}
	return specs.LinuxSeccompArg{Index: index, Value: mask, ValueTwo: value, Op: specs.OpMaskedEqual}
}

// asMask tells which bits a compares, and with what; false if a is not such a
// comparison.
func asMask(a specs.LinuxSeccompArg) (mask, value uint64, ok bool) {
	switch a.Op {
	case specs.OpEqualTo:
		return allBits, a.Value, true
	case specs.OpMaskedEqual:
		return a.Value, a.ValueTwo & a.Value, true
	}
	return 0, 0, false
}

// and returns the condition that holds where both do, or false if they never
// do at the same time.
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

// merge returns the comparison that holds where both a and b do, or false if
// they never do. They are of the same argument.
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

// admits tells whether a holds for the argument x.
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

// minus returns conditions that together hold exactly where one of set holds
// and c does not. If those of set are disjoint, so are they: libseccomp does
// not say which of two overlapping rules it prefers.
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
		// Either the first comparison of c fails, or it holds and the second
		// fails, and so on.
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
			// Overlap above means that this is possible.
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

// negations returns disjoint comparisons, one of which holds exactly where a
// does not.
func negations(a specs.LinuxSeccompArg) []specs.LinuxSeccompArg {
	if op, ok := opposite[a.Op]; ok {
		return []specs.LinuxSeccompArg{{Index: a.Index, Value: a.Value, Op: op}}
	}
	mask, value, _ := asMask(a)
	var negated []specs.LinuxSeccompArg
	var equal uint64 // the bits that are the same as in a
	for mask != 0 {
		bit := uint64(1) << (bits.Len64(mask) - 1)
		mask &^= bit
		negated = append(negated, maskedEqual(a.Index, equal|bit, value&equal|^value&bit))
		equal |= bit
	}
	return negated
}
