package top

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// PrintJSON writes the report as one line of JSON. It returns the error of writing.
func (r *Report) PrintJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// Print writes the report as a table with one line for each container, and one for each keeper that
// does not answer. It returns the error of writing.
func (r *Report) Print(w io.Writer) error {
	_, err := io.WriteString(w, strings.Join(append(r.lines(), r.warnings()...), "\n")+"\n")
	return err
}

// warnings returns a line for each keeper that does not answer.
func (r *Report) warnings() (lines []string) {
	for _, s := range r.Silent {
		lines = append(lines, "subuidless: "+s.Error())
	}
	return lines
}

// busiest is how many calls of a container the table names.
const busiest = 3

// lines returns the lines of the table, the header first.
func (r *Report) lines() []string {
	return table("CONTAINER\tKIND\tUP\tPROCESSES\tCALLS/S\tERRORS/S\tMEAN\tACCELERATED\tCALLS", len(r.Containers), func(i int) string {
		c := &r.Containers[i]
		kind, accelerated := "container", "off"
		if c.Session {
			kind = "session"
		}
		if c.Accelerate {
			accelerated = fmt.Sprint(c.Accelerated)
		}
		var names []string
		for _, call := range c.Calls[:min(busiest, len(c.Calls))] {
			names = append(names, call.Name)
		}
		up := r.Time.Sub(c.Started).Truncate(time.Second)
		return fmt.Sprintf("%s\t%s\t%s\t%d\t%s\t%s\t%s", c.Name, kind, up, c.Processes, c.Rates.columns(), accelerated, strings.Join(names, " "))
	})
}

// lines returns the lines of a table of the container's calls, the header first.
func (c *Container) lines() []string {
	return table("CALL\tTOTAL\tERRORS\tKERNEL\tCALLS/S\tERRORS/S\tMEAN", len(c.Calls), func(i int) string {
		call := &c.Calls[i]
		return fmt.Sprintf("%s\t%d\t%d\t%d\t%s", call.Name, call.Total, call.Errors, call.Kernel, call.columns())
	})
}

// columns returns the columns CALLS/S, ERRORS/S and MEAN.
func (r Rates) columns() string {
	return fmt.Sprintf("%.0f\t%.1f\t%.1fus", r.PerSecond, r.ErrorsPerSecond, r.Microseconds)
}

// table returns aligned lines: the header, and n lines whose columns are separated by tabs.
func table(header string, n int, line func(i int) string) []string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, header)
	for i := range n {
		fmt.Fprintln(w, line(i))
	}
	_ = w.Flush() // a strings.Builder accepts all
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}
