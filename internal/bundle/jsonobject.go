package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// jsonObject is a JSON object that preserves the order of its members and the text of all
// members that are not set: numbers too large for float64, for example, and members that
// specs-go does not know.
type jsonObject []jsonMember

type jsonMember struct {
	name  string
	value json.RawMessage
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *jsonObject) UnmarshalJSON(text []byte) error {
	*o = nil
	dec := json.NewDecoder(bytes.NewReader(text))
	start, err := dec.Token()
	if err != nil {
		return err
	}
	if start != json.Delim('{') {
		return fmt.Errorf("must be an object, not %v", start)
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		*o = append(*o, jsonMember{name.(string), value})
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (o jsonObject) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := encode(m.name)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// encode is json.Marshal without escaping for HTML.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

func (o jsonObject) index(name string) int {
	return slices.IndexFunc(o, func(m jsonMember) bool { return m.name == name })
}

// get decodes the member name into v. It leaves v unchanged if there is no such member.
func (o jsonObject) get(name string, v any) error {
	i := o.index(name)
	if i < 0 {
		return nil
	}
	if err := json.Unmarshal(o[i].value, v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// set replaces the value of the member name, or appends the member.
func (o *jsonObject) set(name string, v any) error {
	value, err := encode(v)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if i := o.index(name); i >= 0 {
		(*o)[i].value = value
		return nil
	}
	*o = append(*o, jsonMember{name, value})
	return nil
}

func (o *jsonObject) remove(name string) {
	*o = slices.DeleteFunc(*o, func(m jsonMember) bool { return m.name == name })
}
