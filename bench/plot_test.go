package main

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

func TestPlot(t *testing.T) {
	m := newResults([]row{{name: "stat"}, {name: "a | b"}, {name: "geteuid", identity: true}, {name: "not measured"}},
		[]column{{name: columnNative}, {name: columnSubuidless}, {name: columnUnchecked}, {name: "fakeroot", peer: true}})
	for _, r := range []string{"stat", "a | b", "geteuid"} {
		m.set(r, columnNative, 1e-6)
		m.set(r, columnSubuidless, 5e-6)
		m.set(r, columnUnchecked, 4e-6)
	}
	m.set("stat", "fakeroot", 40e-6)
	svg := m.plot()
	// The text, and the marks: two in the legend, two of stat, one of the other row.
	decoder := xml.NewDecoder(strings.NewReader(svg))
	var texts []string
	marks := 0
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			for _, a := range token.Attr {
				if a.Name.Local == "class" && strings.HasPrefix(a.Value, "m") {
					marks++
				}
			}
		case xml.CharData:
			if text := strings.TrimSpace(string(token)); text != "" && !strings.Contains(text, "{") {
				texts = append(texts, text)
			}
		}
	}
	want := "Time in relation to native, on a logarithmic axis,1x,2x,5x,10x,20x,subuidless,fakeroot," +
		"stat,subuidless: 5.00 µs (5.00x),fakeroot: 40.00 µs (40x),a | b,subuidless: 5.00 µs (5.00x)"
	if got := strings.Join(texts, ","); got != want {
		t.Errorf("the text is %s\nwant %s", got, want)
	}
	if marks != 5 {
		t.Errorf("%d marks, want 5", marks)
	}
	if m.plot() != svg {
		t.Error("two plots of the same figures differ")
	}
}
