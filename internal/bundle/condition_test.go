package bundle

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestAdmits checks the operators, which all other tests rely on.
func TestAdmits(t *testing.T) {
	for _, tt := range []struct {
		op              specs.LinuxSeccompOperator
		below, at, over bool
	}{
		{specs.OpNotEqual, true, false, true},
		{specs.OpLessThan, true, false, false},
		{specs.OpLessEqual, true, true, false},
		{specs.OpEqualTo, false, true, false},
		{specs.OpGreaterEqual, false, true, true},
		{specs.OpGreaterThan, false, false, true},
	} {
		a := specs.LinuxSeccompArg{Value: 5, Op: tt.op}
		if got := [3]bool{admits(a, 4), admits(a, 5), admits(a, 6)}; got != [3]bool{tt.below, tt.at, tt.over} {
			t.Errorf("%s 5 holds for 4, 5 and 6: %v", tt.op, got)
		}
	}
	masked := specs.LinuxSeccompArg{Value: 6, ValueTwo: 2, Op: specs.OpMaskedEqual}
	for x, want := range []bool{false, false, true, true, false, false, false, false} {
		if admits(masked, uint64(x)) != want {
			t.Errorf("%d & 6 == 2: want %v", x, want)
		}
	}
}

// TestAndMinus compares and and minus of random conditions with their definitions, for all
// arguments of three bits.
func TestAndMinus(t *testing.T) {
	ops := []specs.LinuxSeccompOperator{specs.OpMaskedEqual, specs.OpMaskedEqual, specs.OpEqualTo, specs.OpNotEqual, specs.OpLessThan, specs.OpGreaterEqual}
	random := rand.New(rand.NewPCG(1, 2))
	randomCondition := func() condition {
		var c condition
		for index := range uint(2) {
			a := specs.LinuxSeccompArg{Index: index, Value: random.Uint64N(8), Op: ops[random.IntN(len(ops))]}
			if a.Op == specs.OpMaskedEqual {
				a.ValueTwo = random.Uint64N(8) & a.Value
			}
			if random.IntN(3) > 0 {
				c = append(c, a)
			}
		}
		return c
	}
	failed := 0
	const rounds = 20000
	for range rounds {
		c, d := randomCondition(), randomCondition()
		both, possible, err := c.and(d)
		if errors.Is(err, errTwoComparisons) {
			failed++
			continue
		}
		rest, err := minus([]condition{c}, d)
		if errors.Is(err, errTwoComparisons) {
			failed++
			continue
		}
		for x := range uint64(8) {
			for y := range uint64(8) {
				args := [6]uint64{x, y}
				if got, want := possible && holds(both, args), holds(c, args) && holds(d, args); got != want {
					t.Fatalf("%v and %v is %v: wrong for %v", c, d, both, args)
				}
				n := 0
				for _, r := range rest {
					if holds(r, args) {
						n++
					}
				}
				if want := holds(c, args) && !holds(d, args); n > 1 || (n == 1) != want {
					t.Fatalf("%v minus %v is %v: %d of them hold for %v, want %v", c, d, rest, n, args, want)
				}
			}
		}
	}
	if failed > rounds/2 {
		t.Errorf("%d of %d conditions are errors: too few were compared", failed, rounds)
	}
}

// TestJoined joins what remains of all arguments without some random conditions, and compares the
// result with its definition.
func TestJoined(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	fewer := 0
	for range 2000 {
		set, removed := []condition{{}}, []condition(nil)
		for range 4 {
			mask, other := random.Uint64N(8), random.Uint64N(8)
			d := condition{maskedEqual(0, mask, random.Uint64()&mask), maskedEqual(1, other, random.Uint64()&other)}
			rest, err := minus(set, d)
			if err != nil {
				t.Fatal(err)
			}
			set, removed = rest, append(removed, d)
		}
		got := joined(slices.Clone(set))
		if len(got) < len(set) {
			fewer++
		}
		for x := range uint64(64) {
			args := [6]uint64{x % 8, x / 8}
			want := 1
			if slices.ContainsFunc(removed, func(d condition) bool { return holds(d, args) }) {
				want = 0
			}
			n := 0
			for _, c := range got {
				if holds(c, args) {
					n++
				}
			}
			if n != want {
				t.Fatalf("%d of %v hold for %v, want %d: joined from %v", n, got, args, want, set)
			}
		}
	}
	if fewer == 0 {
		t.Error("nothing was joined")
	}
}
