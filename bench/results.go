package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// results holds the measured medians, in seconds.
type results struct {
	rows    []row
	columns []column
	seconds map[cell]float64
}

type cell struct{ row, column string }

func newResults(rows []row, columns []column) *results {
	return &results{rows: rows, columns: columns, seconds: map[cell]float64{}}
}

func (m *results) set(row, column string, seconds float64) {
	m.seconds[cell{row, column}] = seconds
}

// any reports whether there is a figure.
func (m *results) any() bool { return len(m.seconds) > 0 }

// ratio compares two columns of one row. It reports whether both were measured.
func (m *results) ratio(row, column, to string) (float64, bool) {
	figure, ok := m.seconds[cell{row, column}]
	base, okBase := m.seconds[cell{row, to}]
	return figure / base, ok && okBase && base > 0
}

// lines returns the cells of the table; the first line is the heading.
func (m *results) lines() [][]string {
	heading := []string{""}
	for _, c := range m.columns {
		heading = append(heading, c.name)
	}
	lines := [][]string{heading}
	for _, r := range m.rows {
		line := []string{r.name}
		for _, c := range m.columns {
			line = append(line, m.word(r.name, c.name))
		}
		lines = append(lines, line)
	}
	return lines
}

func (m *results) word(row, column string) string {
	seconds, ok := m.seconds[cell{row, column}]
	if !ok {
		return "-"
	}
	absolute := formatSeconds(seconds)
	ratio, ok := m.ratio(row, column, columnNative)
	if !ok || column == columnNative {
		return absolute
	}
	return fmt.Sprintf("%s (%s)", absolute, formatRatio(ratio))
}

func (m *results) text() string {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, line := range m.lines() {
		fmt.Fprintln(table, strings.Join(line, "\t"))
	}
	table.Flush() // a strings.Builder does not fail
	return b.String()
}

func (m *results) markdown() string {
	var b strings.Builder
	for i, line := range m.lines() {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(escapePipes(line), " | "))
		if i == 0 {
			fmt.Fprintf(&b, "|---|%s\n", strings.Repeat("---:|", len(m.columns)))
		}
	}
	return b.String()
}

// escapePipes returns the cells as Markdown wants them in a table.
func escapePipes(cells []string) []string {
	var escaped []string
	for _, cell := range cells {
		escaped = append(escaped, strings.ReplaceAll(cell, "|", `\|`))
	}
	return escaped
}

// formatSeconds keeps three digits, or hundredths of a microsecond.
func formatSeconds(s float64) string {
	switch {
	case s < 100e-6:
		return fmt.Sprintf("%.2f µs", s*1e6)
	case s < 1e-3:
		return fmt.Sprintf("%.0f µs", s*1e6)
	case s < 10e-3:
		return fmt.Sprintf("%.2f ms", s*1e3)
	case s < 1:
		return fmt.Sprintf("%.0f ms", s*1e3)
	}
	return fmt.Sprintf("%.2f s", s)
}

func formatRatio(r float64) string {
	if r < 10 {
		return fmt.Sprintf("%.2fx", r)
	}
	return fmt.Sprintf("%.0fx", r)
}
