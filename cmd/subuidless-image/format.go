package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
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
