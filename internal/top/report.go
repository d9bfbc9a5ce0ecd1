package top

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/rootless-containers/subuidless/internal/statistics"
	"github.com/rootless-containers/subuidless/internal/supervisor"
)

// Report is what containers have done between two samples.
type Report struct {
	Time       time.Time   `json:"time"`
	Seconds    float64     `json:"seconds"`    // between the samples
	Containers []Container `json:"containers"` // the busiest first
	// Silent are the keepers of further containers, which do not answer.
	Silent []*statistics.Silent `json:"silent,omitempty"`
}

// Container is a container in a report.
type Container struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"` // the id, if it has no other
	Session     bool      `json:"session"`
	Keeper      int       `json:"keeper"` // process id
	Started     time.Time `json:"started"`
	Processes   int       `json:"processes"`
	Accelerate  bool      `json:"accelerate"`
	Accelerated uint64    `json:"accelerated"` // processes, including those that have ended
	Rates
	Calls []Call `json:"byCall"` // the most frequent in the interval first
}

// Call are the calls of one name in a report.
type Call struct {
	Name string `json:"name"`
	Rates
}

// Rates are notifications since the start of the container, and in the interval of a report.
type Rates struct {
	Total     uint64  `json:"calls"`
	Errors    uint64  `json:"errors"`
	Kernel    uint64  `json:"kernel"` // left to the kernel
	PerSecond float64 `json:"callsPerSecond"`
	// ErrorsPerSecond are those that the supervisor has answered with an error.
	ErrorsPerSecond float64 `json:"errorsPerSecond"`
	// Microseconds is the mean time from when the supervisor received a call until it had an answer,
	// in the interval, or if nothing was timed there, since the start.
	Microseconds float64 `json:"microseconds"`
}

// Compare returns what has happened between two samples. Name returns the name of the container
// with an id.
func Compare(before, after *Sample, name func(id string) string) *Report {
	r := &Report{Time: after.Time, Seconds: after.Time.Sub(before.Time).Seconds(), Containers: []Container{}, Silent: after.Silent}
	type key struct {
		id      string
		started int64
	}
	earlier := map[key]statistics.Snapshot{}
	for _, c := range before.Containers {
		earlier[key{c.ID, c.Started.UnixNano()}] = c.Snapshot
	}
	for _, c := range after.Containers {
		r.Containers = append(r.Containers, r.container(c, earlier[key{c.ID, c.Started.UnixNano()}], name(c.ID)))
	}
	slices.SortFunc(r.Containers, func(a, b Container) int {
		return cmp.Or(cmp.Compare(b.PerSecond, a.PerSecond), strings.Compare(a.Name, b.Name), cmp.Compare(a.Keeper, b.Keeper))
	})
	return r
}

// container returns the container c, which had the counters earlier when the interval began.
func (r *Report) container(c State, earlier statistics.Snapshot, name string) Container {
	old := map[string]statistics.Counts{}
	for _, n := range earlier.ByName(supervisor.CallName) {
		old[n.Name] = n.Counts
	}
	calls := []Call{}
	now := c.ByName(supervisor.CallName)
	for _, n := range now {
		calls = append(calls, Call{n.Name, r.rates(n.Counts, old[n.Name])})
	}
	slices.SortStableFunc(calls, func(a, b Call) int {
		return cmp.Or(cmp.Compare(b.PerSecond, a.PerSecond), cmp.Compare(b.Total, a.Total), strings.Compare(a.Name, b.Name))
	})
	return Container{
		ID: c.ID, Name: name, Session: c.Session, Keeper: c.Keeper, Started: c.Started, Processes: c.Processes,
		Accelerate: c.Accelerate, Accelerated: c.Accelerated,
		Rates: r.rates(statistics.Sum(now), statistics.Sum(earlier.ByName(supervisor.CallName))), Calls: calls,
	}
}

// rates returns the rates of calls that have been counted until the end of the interval, and until
// its begin.
func (r *Report) rates(now, then statistics.Counts) Rates {
	in := now.Sub(then)
	mean := in.Mean()
	if mean == 0 {
		mean = now.Mean()
	}
	return Rates{
		Total: now.Calls, Errors: now.Errors, Kernel: now.Kernel,
		PerSecond: float64(in.Calls) / r.Seconds, ErrorsPerSecond: float64(in.Errors) / r.Seconds,
		Microseconds: float64(mean) / float64(time.Microsecond),
	}
}
