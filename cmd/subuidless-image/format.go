package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"text/tabwriter"
)

// action is what may stand between braces in a format: a field, as in .Config.User, the JSON
// of one, or an element of a map.
//
// This is the part of docker's templates that scripts use. Package text/template would make
// the linker keep all methods of all types, which costs each process of exec and run as much
// time at its start as the rest of the commands for images.
const action = `^(?:(json) +|index +)?(\.[A-Za-z0-9.]*)(?: +"([^"]*)")?$`

// formatObject writes the object as format says, and a newline.
func formatObject(w io.Writer, object any, format string) error {
	var b strings.Builder
	for rest := format; rest != ""; {
		text, after, found := strings.Cut(rest, "{{")
		b.WriteString(text)
		if !found {
			break
		}
		inner, next, found := strings.Cut(after, "}}")
		if !found {
			return errors.New(`--format: "{{" without "}}"`)
		}
		value, err := evaluate(object, strings.TrimSpace(inner))
		if err != nil {
			return fmt.Errorf("--format: {{%s}}: %w", inner, err)
		}
		b.WriteString(value)
		rest = next
	}
	_, err := fmt.Fprintln(w, b.String())
	return err
}

// formatList writes objects as format says, one a line. Format may begin with "table ": then there
// are columns, between tabs, with headers. Those that are not in headers are the names of the
// fields in capitals.
func formatList(w io.Writer, objects []any, format string, headers map[string]string) error {
	format = strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace(format)
	row, isTable := strings.CutPrefix(format, "table ")
	if !isTable {
		for _, o := range objects {
			if err := formatObject(w, o, row); err != nil {
				return err
			}
		}
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	header := regexp.MustCompile(`\{\{ *\.?([A-Za-z0-9]*)[^}]*\}\}`).ReplaceAllStringFunc(row, func(text string) string {
		name := strings.Trim(text, "{}. ")
		if h, ok := headers[name]; ok {
			return h
		}
		return strings.ToUpper(name)
	})
	fmt.Fprintln(t, header)
	for _, o := range objects {
		if err := formatObject(t, o, row); err != nil {
			return err
		}
	}
	return t.Flush()
}

// evaluate returns the value of an action as text.
func evaluate(object any, text string) (string, error) {
	m := regexp.MustCompile(action).FindStringSubmatch(text)
	isIndex := strings.HasPrefix(text, "index ")
	if m == nil || isIndex != (m[3] != "") {
		return "", errors.New(`only {{.FIELD.FIELD}}, {{json .FIELD}} and {{index .FIELD "KEY"}} are supported`)
	}
	v := reflect.ValueOf(object)
	for field := range strings.FieldsFuncSeq(m[2], func(r rune) bool { return r == '.' }) {
		for v.Kind() == reflect.Pointer && !v.IsNil() {
			v = v.Elem()
		}
		switch v.Kind() {
		case reflect.Struct:
			v = v.FieldByName(field)
		case reflect.Map:
			v = v.MapIndex(reflect.ValueOf(field))
		default:
			v = reflect.Value{}
		}
		if !v.IsValid() {
			return "", fmt.Errorf("there is no %s", field)
		}
	}
	if isIndex {
		if v.Kind() != reflect.Map || v.Type().Key().Kind() != reflect.String {
			return "", fmt.Errorf("%s has no keys", m[2])
		}
		if v = v.MapIndex(reflect.ValueOf(m[3])); !v.IsValid() {
			return "", nil
		}
	}
	if m[1] == "json" {
		b, err := json.Marshal(v.Interface())
		return string(b), err
	}
	return fmt.Sprint(v.Interface()), nil
}
