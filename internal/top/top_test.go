package top

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/sys/unix"

	"github.com/rootless-containers/subuidless/internal/statistics"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// samples returns two samples, two seconds apart: in between, one container ends and another begins.
func samples() (before, after *Sample) {
	state := func(id string, keeper int, f statistics.Facts, calls map[statistics.Call]statistics.Counts) State {
		f.Started = start
		return State{ID: id, Keeper: keeper, Processes: 3, Snapshot: statistics.Snapshot{Facts: f, Accelerated: 7, Calls: calls}}
	}
	getuid, getgid := statistics.Call{Number: unix.SYS_GETUID}, statistics.Call{Number: unix.SYS_GETGID}
	before = &Sample{Time: start.Add(time.Minute), Containers: []State{
		state("idle", 10, statistics.Facts{Session: true}, map[statistics.Call]statistics.Counts{getuid: {Calls: 5, Timed: 1, Time: 4 * time.Microsecond}}),
		state("gone", 11, statistics.Facts{}, nil),
		state("busy", 12, statistics.Facts{Accelerate: true}, map[statistics.Call]statistics.Counts{
			getuid: {Calls: 100, Timed: 10, Time: 500 * time.Microsecond}, getgid: {Calls: 10},
		}),
	}}
	after = &Sample{Time: start.Add(time.Minute + 2*time.Second), Containers: []State{
		before.Containers[0],
		state("busy", 12, statistics.Facts{Accelerate: true}, map[statistics.Call]statistics.Counts{
			getuid: {Calls: 300, Errors: 1, Kernel: 100, Timed: 20, Time: 520 * time.Microsecond}, getgid: {Calls: 10},
		}),
		state("new", 13, statistics.Facts{}, map[statistics.Call]statistics.Counts{getgid: {Calls: 20, Timed: 1, Time: time.Microsecond}}),
	}}
	return before, after
}

func name(id string) string {
	if id == "busy" {
		return "web"
	}
	return id
}

func TestReport(t *testing.T) {
	before, after := samples()
	after.Silent = []*statistics.Silent{{ID: "stuck", Keeper: 14, Stopped: true}}
	r := Compare(before, after, name)
	var b strings.Builder
	if err := r.Print(&b); err != nil {
		t.Fatal(err)
	}
	const want = `CONTAINER  KIND       UP    PROCESSES  CALLS/S  ERRORS/S  MEAN   ACCELERATED  CALLS
web        container  1m2s  3          100      0.5       2.0us  7            getuid getgid
new        container  1m2s  3          10       0.0       1.0us  off          getgid
idle       session    1m2s  3          0        0.0       4.0us  off          getuid
subuidless: the supervisor of stuck does not answer: a signal has stopped process 14 (kill -CONT 14 continues it)
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	b.Reset()
	if err := r.PrintJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil || strings.Count(b.String(), "\n") != 1 {
		t.Fatalf("%v\n%s", err, b.String())
	}
	if !reflect.DeepEqual(got.Silent, after.Silent) {
		t.Errorf("JSON: %s", b.String())
	}
	web := got.Containers[0]
	wantRates := Rates{Total: 310, Errors: 1, Kernel: 100, PerSecond: 100, ErrorsPerSecond: 0.5, Microseconds: 2}
	if web.ID != "busy" || web.Keeper != 12 || web.Rates != wantRates || len(web.Calls) != 2 || web.Calls[0].Name != "getuid" || web.Calls[0].PerSecond != 100 {
		t.Errorf("JSON: %+v", web)
	}
}

// The screen shows the calls of the container that the user chooses, also when the order changes.
func TestScreen(t *testing.T) {
	before, after := samples()
	m := model{delay: time.Hour, name: name, last: before}
	update := func(messages ...tea.Msg) (cmd tea.Cmd) {
		for _, message := range messages {
			next, c := m.Update(message)
			m, cmd = next.(model), c
		}
		return cmd
	}
	key := func(k rune) tea.Msg { return tea.KeyPressMsg{Code: k, Text: string(k)} }
	shows := func(texts ...string) {
		t.Helper()
		for _, text := range texts {
			if !strings.Contains(strings.Join(m.lines(), "\n"), text) {
				t.Errorf("%q is missing:\n%s", text, strings.Join(m.lines(), "\n"))
			}
		}
	}
	update(key('j'))
	shows("counting")
	if cmd := update(taken{sample: after}); cmd == nil {
		t.Error("no further sample is taken")
	}
	shows("3 containers", "\x1b[7mweb ", "Calls of web:", "getuid  300    1       100")
	update(key('j'), key('j'), key('j'))
	shows("\x1b[7midle ", "Calls of idle:")
	update(taken{sample: &Sample{Time: after.Time.Add(time.Second), Containers: after.Containers[:1]}})
	shows("1 containers", "\x1b[7midle ")
	update(key('k'), taken{sample: &Sample{Time: after.Time.Add(2 * time.Second)}})
	shows("No container is running.")
	update(taken{sample: &Sample{Time: after.Time.Add(3 * time.Second), Silent: []*statistics.Silent{{ID: "stuck", Keeper: 14}}}})
	shows("No container is running.", "stuck does not answer: process 14 hangs")
	update(tea.WindowSizeMsg{Width: 20, Height: 8}, taken{sample: before}, taken{sample: after})
	lines := m.lines()
	if len(lines) > 8 || len(lines[2]) > 20 {
		t.Errorf("20x8:\n%s", strings.Join(lines, "\n"))
	}
	m.left = 1
	if cmd := update(taken{sample: after}); cmd == nil || cmd() != tea.Quit() {
		t.Error("it does not end after the last sample")
	}
	if update(taken{err: errors.New("broken")}); m.err == nil {
		t.Error("the error is lost")
	}
	if cmd := update(key('q')); cmd == nil || cmd() != tea.Quit() {
		t.Error("q does not end it")
	}
}

func TestPrintable(t *testing.T) {
	if got := printable("a\x1b[2Jé\n"); got != "a?[2Jé?" {
		t.Errorf("got %q", got)
	}
}
