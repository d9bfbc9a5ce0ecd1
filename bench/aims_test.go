package main

import (
	"strings"
	"testing"
)

// figures fills the whole table: with 1.5 µs for subuidless and 2 µs for the other
// columns, except for the cells in other.
func figures(other map[cell]float64) *results {
	m := newResults(rows, columns)
	for _, r := range rows {
		for _, c := range columns {
			m.set(r.name, c.name, 2e-6)
			if c.name == columnSubuidless {
				m.set(r.name, c.name, 1.5e-6)
			}
		}
	}
	for at, seconds := range other {
		m.set(at.row, at.column, seconds)
	}
	return m
}

func TestAims(t *testing.T) {
	for name, test := range map[string]struct {
		aim     int
		figures *results
		want    string
	}{
		"ahead":                 {0, figures(map[cell]float64{{"chown", "fakeroot"}: 1.6e-6}), "chown takes 0.94x of fakeroot"},
		"behind in two places":  {0, figures(map[cell]float64{{"chown", "fakeroot"}: 1e-6, {rowStat, "pseudo"}: 0.5e-6}), "stat takes 3.00x of pseudo; chown takes 1.50x of fakeroot"},
		"equal is not ahead":    {0, figures(map[cell]float64{{"chown", "fakeroot"}: 1.5e-6}), "missed"},
		"identity by preload":   {0, figures(map[cell]float64{{"geteuid", "fakeroot"}: 1e-9}), "met"},
		"identity by ptrace":    {0, figures(map[cell]float64{{"geteuid", "proot -0"}: 1e-9}), "missed"},
		"no way to do it":       {0, figures(map[cell]float64{{rowInstall, "pseudo"}: 1e-9}), "met"},
		"builds do not count":   {0, figures(map[cell]float64{{rowBuild1, "fakeroot"}: 1e-6}), "met"},
		"nothing measured":      {0, newResults(rows, columns), "not measured"},
		"at the limit":          {1, figures(map[cell]float64{{rowFind, columnSubuidless}: 3.6e-6}), "met           find is at most 1.8x native: 1.80x"},
		"above the limit":       {1, figures(map[cell]float64{{rowFind, columnSubuidless}: 4e-6}), "missed        find is at most 1.8x native: 2.00x"},
		"build above the limit": {10, figures(map[cell]float64{{rowBuild2, columnSubuidless}: 3e-6}), "missed        the -j2 build is at most 1.1x native: 1.50x"},
		"each has its base":     {13, figures(map[cell]float64{{rowStat, columnBare}: 1e-6}), "missed        a notified stat is at most 1.4x the bare round trip: 2.00x"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := aims[test.aim].judge(test.figures); !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q in it", got, test.want)
			}
		})
	}
}
