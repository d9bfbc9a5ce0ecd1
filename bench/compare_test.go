package main

import (
	"slices"
	"testing"
)

func TestCompareColumns(t *testing.T) {
	var cs comparisons
	if err := cs.Set("before=/tmp/old"); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range cs.columns() {
		names = append(names, c.name)
	}
	want := []string{columnNative, columnSubuidless, columnUnchecked, "before", "before, permissions off"}
	if !slices.Equal(names[:len(want)], want) || len(names) != len(columns)+2 {
		t.Errorf("columns %q, want first %q", names, want)
	}
	before := cs.columns()[3]
	if want := []string{"{bin}/before", "exec", "--"}; !slices.Equal(before.wrap, want) {
		t.Errorf("the command of before is %q, want %q", before.wrap, want)
	}
}

func TestCompareErrors(t *testing.T) {
	cs := comparisons{{"before", "/tmp/old"}}
	for _, text := range []string{"before", "=binary", "a/b=binary", "native=binary", "before=again", "bare=binary", "filter=binary"} {
		if err := cs.Set(text); err == nil {
			t.Errorf("-compare %s: no error", text)
		}
	}
}

func TestComparison(t *testing.T) {
	cs := comparisons{{"before", "/tmp/old"}}
	m := newResults([]row{{name: "stat"}, {name: "chown"}}, cs.columns())
	if got := m.comparison(cs); got != "" {
		t.Errorf("nothing was measured, and got\n%s", got)
	}
	m.set("stat", columnSubuidless, 1e-6)
	m.set("stat", "before", 2e-6)
	want := "subuidless takes, of:  before  before, permissions off\n" +
		"stat                   0.50x   -\n" +
		"chown                  -       -\n"
	if got := m.comparison(cs); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
