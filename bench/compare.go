package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
)

// compared is another binary of subuidless, such as one built before a change. It gets the
// same two columns as the current one.
type compared struct{ name, binary string }

// comparisons is the repeatable flag -compare NAME=BINARY.
type comparisons []compared

// columnName matches names that can be file names, too.
var columnName = regexp.MustCompile(`^[\w.+-]+$`)

func (cs *comparisons) Set(text string) error {
	name, binary, found := strings.Cut(text, "=")
	if !found || binary == "" || !columnName.MatchString(name) {
		return fmt.Errorf("want NAME=BINARY, with a name of letters, digits and . _ + -")
	}
	taken := func(c column) bool { return c.name == name }
	if slices.ContainsFunc(cs.columns(), taken) || slices.Contains(binPrograms, name) {
		return fmt.Errorf("the name %s is taken", name)
	}
	*cs = append(*cs, compared{name, binary})
	return nil
}

func (cs *comparisons) String() string {
	var words []string
	for _, c := range *cs {
		words = append(words, c.name+"="+c.binary)
	}
	return strings.Join(words, " ")
}

// columns returns all columns: those of the other binaries follow the current one's.
func (cs comparisons) columns() []column {
	var others []column
	for _, c := range cs {
		others = append(others, subuidlessColumn(c.name, c.name), subuidlessColumn(c.unchecked(), c.name, unchecked))
	}
	isLean := func(c column) bool { return c.name == columnUnchecked }
	return slices.Insert(slices.Clone(columns), slices.IndexFunc(columns, isLean)+1, others...)
}

// unchecked is the name of the second column.
func (c compared) unchecked() string { return c.name + ", permissions off" }

// comparison is a table of what the current binary takes in relation to the other ones. It
// is empty if there are none, or none was measured.
func (m *results) comparison(cs comparisons) string {
	pairs := [][2]string{}
	heading := "subuidless takes, of:"
	for _, c := range cs {
		pairs = append(pairs, [2]string{columnSubuidless, c.name}, [2]string{columnUnchecked, c.unchecked()})
		heading += "\t" + c.name + "\t" + c.unchecked()
	}
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, heading)
	found := false
	for _, r := range m.rows {
		line := r.name
		for _, pair := range pairs {
			word := "-"
			if ratio, ok := m.ratio(r.name, pair[0], pair[1]); ok {
				found = true
				word = formatRatio(ratio)
			}
			line += "\t" + word
		}
		fmt.Fprintln(table, line)
	}
	table.Flush() // a strings.Builder does not fail
	if !found {
		return ""
	}
	return b.String()
}
