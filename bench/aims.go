package main

import (
	"fmt"
	"strings"
)

// aim is a promise about the table. Its check returns a figure and whether the aim is
// met; the aim is not measured if a figure that it needs is missing.
type aim struct {
	name  string
	check func(*results) (figure string, verdict verdict)
}

type verdict string

const (
	met         verdict = "met"
	missed      verdict = "missed"
	notMeasured verdict = "not measured"
)

var aims = []aim{
	{"every row except the builds is ahead of the other fakeroots (except for ids that a preloaded library reports itself)", aheadOfPeers(columnSubuidless)},
	{"find is at most 1.8x native", atMost(columnSubuidless, rowFind, columnNative, 1.8)},
	{"git status is at most 1.8x native", atMost(columnSubuidless, rowStatus, columnNative, 1.8)},
	{"git status in a running container is at most 1.8x native", atMost(columnSubuidless, rowInside, columnNative, 1.8)},
	{"tar -c is at most 1.6x native", atMost(columnSubuidless, rowArchive, columnNative, 1.6)},
	{"cp -a is at most 2x native", atMost(columnSubuidless, rowCopy, columnNative, 2)},
	{"tar -x is at most 2x native", atMost(columnSubuidless, rowExtract, columnNative, 2)},
	{"rm -r is at most 1.4x native", atMost(columnSubuidless, rowRemove, columnNative, 1.4)},
	{"apt-get install is at most 1.05x native", atMost(columnSubuidless, rowInstall, columnNative, 1.05)},
	{"the -j1 build is at most 1.05x native", atMost(columnSubuidless, rowBuild1, columnNative, 1.05)},
	{"the -j2 build is at most 1.1x native", atMost(columnSubuidless, rowBuild2, columnNative, 1.1)},
	{"the -j1 build of a real library is at most 1.05x native", atMost(columnSubuidless, rowLibrary1, columnNative, 1.05)},
	{"the -j2 build of a real library is at most 1.1x native", atMost(columnSubuidless, rowLibrary2, columnNative, 1.1)},
	{"a notified stat is at most 1.4x the bare round trip", atMost(columnNotified, rowStat, columnBare, 1.4)},
}

func (a aim) judge(m *results) string {
	figure, verdict := a.check(m)
	return fmt.Sprintf("%-12s  %s: %s", verdict, a.name, figure)
}

func atMost(column, row, base string, limit float64) func(*results) (string, verdict) {
	return func(m *results) (string, verdict) {
		ratio, ok := m.ratio(row, column, base)
		if !ok {
			return "needs row " + row + " and columns " + column + " and " + base, notMeasured
		}
		figure := formatRatio(ratio)
		if ratio > limit {
			return figure, missed
		}
		return figure, met
	}
}

// aheadOfPeers compares a column with the other fakeroots. Its figure is the comparisons that the
// column loses or, if there are none, the closest one that it wins.
func aheadOfPeers(column string) func(*results) (string, verdict) {
	return func(m *results) (string, verdict) {
		var behind []string
		absent := 0
		narrowest, closest := 0.0, ""
		for _, r := range rows {
			for _, c := range columns {
				if r.build || !c.peer || !r.runsIn(c) || r.identity && c.preload {
					continue
				}
				ratio, ok := m.ratio(r.name, column, c.name)
				if !ok {
					absent++
					continue
				}
				comparison := fmt.Sprintf("%s takes %s of %s", r.name, formatRatio(ratio), c.name)
				if ratio >= 1 {
					behind = append(behind, comparison)
				}
				if ratio > narrowest {
					narrowest, closest = ratio, comparison
				}
			}
		}
		switch {
		case len(behind) > 0:
			return strings.Join(behind, "; "), missed
		case absent > 0:
			return fmt.Sprintf("the figures of %d comparisons are missing", absent), notMeasured
		}
		return closest, met
	}
}
