package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// coverage counts the results of each call on real root's side. It shows what the
// generated programs reach.
type coverage map[string]map[string]int // by call, and by errno or "ok"

// add counts the results of a program.
func (c coverage) add(p program, root outcome) {
	for i, line := range root.Results {
		o := p.Ops[i]
		result, _, _ := strings.Cut(line, " ")
		switch {
		case result == "-":
			result = "not run" // its actor has ended
		case result[0] != 'E':
			result = "ok"
		}
		for _, name := range []string{o.Call.name, "all calls"} {
			if c[name] == nil {
				c[name] = make(map[string]int)
			}
			c[name][result]++
		}
	}
}

// String returns a line for each call: how often it was made, and the percentage of each
// result.
func (c coverage) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c)) {
		total := 0
		for _, n := range c[name] {
			total += n
		}
		fmt.Fprintf(&b, "%-18s %7d", name, total)
		for _, result := range slices.SortedFunc(maps.Keys(c[name]), func(x, y string) int {
			return cmp.Or(c[name][y]-c[name][x], strings.Compare(x, y))
		}) {
			fmt.Fprintf(&b, "  %s %.1f%%", result, 100*float64(c[name][result])/float64(total))
		}
		b.WriteString("\n")
	}
	return b.String()
}
