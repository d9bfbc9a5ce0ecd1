package main

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"
	"text/template"
	"unicode"

	"github.com/spf13/pflag"
)

// functions are those of docker's templates besides the built-in ones.
var functions = template.FuncMap{
	"json": func(v any) (string, error) {
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		err := e.Encode(v)
		return strings.TrimSuffix(b.String(), "\n"), err
	},
	"join":  strings.Join,
	"lower": strings.ToLower,
	"upper": strings.ToUpper,
	"split": strings.Split,
	"title": func(s string) string {
		r := []rune(s)
		if len(r) > 0 {
			r[0] = unicode.ToTitle(r[0])
		}
		return string(r)
	},
	"pad": func(s string, before, after int) string {
		if s == "" {
			return s
		}
		return strings.Repeat(" ", before) + s + strings.Repeat(" ", after)
	},
	"truncate": func(s string, length int) string {
		r := []rune(s)
		return string(r[:min(max(length, 0), len(r))])
	},
}

// parseFormat parses the template of --format.
func parseFormat(format string) (*template.Template, error) {
	t, err := template.New("--format").Option("missingkey=zero").Funcs(functions).Parse(format)
	if err != nil {
		return nil, fmt.Errorf("--format: %s", strings.TrimPrefix(err.Error(), "template: --format:"))
	}
	return t, nil
}

// execute writes the object as the template says, and a newline.
func execute(w io.Writer, t *template.Template, object any) error {
	var b strings.Builder
	if err := t.Execute(&b, object); err != nil {
		return fmt.Errorf("--format: %s", strings.TrimPrefix(err.Error(), "template: --format:"))
	}
	_, err := fmt.Fprintln(w, b.String())
	return err
}

// formatObject writes the object as format says, and a newline.
func formatObject(w io.Writer, object any, format string) error {
	t, err := parseFormat(format)
	if err != nil {
		return err
	}
	return execute(w, t, object)
}

// listFlags say how a command prints a list.
type listFlags struct {
	format string
	quiet  bool
}

// add adds the flags to those of a command. Quiet is the help of --quiet.
func (l *listFlags) add(flags *pflag.FlagSet, quiet string) {
	flags.BoolVarP(&l.quiet, "quiet", "q", false, quiet)
	flags.StringVar(&l.format, "format", "", "print json, or use a Go `template`; \"table TEMPLATE\" prints a table with headings")
}

// template returns the format for formatList. Table is the default.
func (l *listFlags) template(table string) string {
	switch {
	case l.quiet:
		return "{{.ID}}"
	case l.format == "json": // as docker: an object a line
		return "{{json .}}"
	case l.format == "" || l.format == "table":
		return table
	}
	return l.format
}

// formatList writes structs of the type T as format says, one a line. Format may begin with
// "table ": then there are columns, between tabs, with headers. The header of a field that is not
// in headers is its name in capitals.
func formatList[T any](w io.Writer, objects []T, format string, headers map[string]string) error {
	format = strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace(format)
	row, isTable := strings.CutPrefix(format, "table ")
	t, err := parseFormat(row)
	if err != nil {
		return err
	}
	if !isTable {
		for i := range objects {
			if err := execute(w, t, objects[i]); err != nil {
				return err
			}
		}
		return nil
	}
	columns := headings{}
	for field := range reflect.TypeFor[T]().Fields() {
		columns[field.Name] = strings.ToUpper(field.Name)
		if h, ok := headers[field.Name]; ok {
			columns[field.Name] = h
		}
	}
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	if err := execute(table, t, columns); err != nil {
		return err
	}
	for i := range objects {
		if err := execute(table, t, objects[i]); err != nil {
			return err
		}
	}
	return table.Flush()
}

// headings are those of columns, by field.
type headings map[string]string

// Label returns the heading of a column with the label, as docker does.
func (headings) Label(name string) string {
	return strings.ToUpper(name[strings.LastIndexByte(name, '.')+1:])
}

// writeJSON writes v as JSON for people.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "    ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
