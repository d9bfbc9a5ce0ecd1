package statistics

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Named are the counts of the calls of one name.
type Named struct {
	Name string
	Counts
}

// ByName returns the counts by the names of the calls: those of several ABIs with one name are
// added. Name returns the name of a call. The calls that have taken most time are first.
func (s Snapshot) ByName(name func(Call) string) []Named {
	list := make([]Named, 0, len(s.Calls))
	for call, n := range s.Calls {
		list = append(list, Named{name(call), n})
	}
	return Merge(list)
}

// Merge returns the sums of the counts with one name, those that have taken most time first.
func Merge(lists ...[]Named) []Named {
	sums := map[string]Counts{}
	for _, n := range slices.Concat(lists...) {
		sums[n.Name] = sums[n.Name].Add(n.Counts)
	}
	list := make([]Named, 0, len(sums))
	for name, n := range sums {
		list = append(list, Named{name, n})
	}
	slices.SortFunc(list, func(a, b Named) int {
		return cmp.Or(cmp.Compare(b.Total(), a.Total()), cmp.Compare(b.Calls, a.Calls), strings.Compare(a.Name, b.Name))
	})
	return list
}

// Sum returns the sum of all counts.
func Sum(list []Named) (n Counts) {
	for _, l := range list {
		n = n.Add(l.Counts)
	}
	return n
}

// PrintSummary writes a table of counts, with their sum, as strace -c does. It returns the error of
// writing.
func PrintSummary(w io.Writer, list []Named) error {
	var b strings.Builder
	const rule = "------ ----------- ----------- --------- --------- --------- ----------------\n"
	b.WriteString("% time     seconds  usecs/call     calls    errors    kernel syscall\n" + rule)
	all := Sum(list)
	var total time.Duration // not that of all, whose calls have different means
	for _, l := range list {
		total += l.Total()
	}
	line := func(name string, n Counts, time time.Duration) {
		share := 100.0
		if total > 0 {
			share = 100 * float64(time) / float64(total)
		}
		fmt.Fprintf(&b, "%6.2f %11.6f %11d %9d %9s %9s %s\n", share, time.Seconds(), (time / max(1, duration(n.Calls))).Microseconds(), n.Calls, unlessZero(n.Errors), unlessZero(n.Kernel), name)
	}
	for _, l := range list {
		line(l.Name, l.Counts, l.Total())
	}
	b.WriteString(rule)
	line("total", all, total)
	_, err := io.WriteString(w, b.String())
	return err
}

// duration is n as a divisor of durations.
func duration(n uint64) time.Duration { return time.Duration(n) }

func unlessZero(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
