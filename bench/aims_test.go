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
		"stat at the limit":     {0, figures(map[cell]float64{{rowStat, columnSubuidless}: 4e-6}), "met           stat is at most 2x the bare round trip: 2.00x"},
		"stat above the limit":  {0, figures(map[cell]float64{{rowStat, columnSubuidless}: 5e-6}), "missed        stat is at most 2x the bare round trip: 2.50x"},
		"ahead":                 {1, figures(map[cell]float64{{"chown", "fakeroot"}: 1.6e-6}), "chown takes 0.94x of fakeroot"},
		"behind in two places":  {1, figures(map[cell]float64{{"chown", "fakeroot"}: 1e-6, {rowStat, "pseudo"}: 0.5e-6}), "stat takes 3.00x of pseudo; chown takes 1.50x of fakeroot"},
		"equal is not ahead":    {1, figures(map[cell]float64{{"chown", "fakeroot"}: 1.5e-6}), "missed"},
		"identity by preload":   {1, figures(map[cell]float64{{"geteuid", "fakeroot"}: 1e-9}), "met"},
		"identity by ptrace":    {1, figures(map[cell]float64{{"geteuid", "proot -0"}: 1e-9}), "missed"},
		"no way to do it":       {1, figures(map[cell]float64{{rowInstall, "pseudo"}: 1e-9}), "met"},
		"builds do not count":   {1, figures(map[cell]float64{{rowBuild1, "fakeroot"}: 1e-6}), "met"},
		"build above the limit": {2, figures(map[cell]float64{{rowBuild2, columnSubuidless}: 3e-6}), "missed        the -j2 build is at most 1.2x native: 1.50x"},
		"each has its base":     {8, figures(map[cell]float64{{rowInstall, columnNative}: 1e-6}), "missed        apt-get install is at most 1.25x native: 1.50x"},
		"accelerated, ahead":    {9, figures(map[cell]float64{{"chown", columnAccelerated}: 2.5e-6}), "chown takes 1.25x of fakeroot"},
		"accelerated":           {10, figures(map[cell]float64{{rowFind, columnNative}: 1e-6}), "missed        accelerated, find is at most 1.8x native: 2.00x"},
		"nothing measured":      {1, newResults(rows, columns), "not measured"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := aims[test.aim].judge(test.figures); !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q in it", got, test.want)
			}
		})
	}
}
