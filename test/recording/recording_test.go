package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

// TestRecording checks that docs/recording.svg shows the transcript of README.md, as it stands there.
func TestRecording(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	transcript, err := find(string(readme))
	if err != nil {
		t.Fatal(err)
	}
	recording, err := os.ReadFile("../../docs/recording.svg")
	if err != nil {
		t.Fatal(err)
	}
	if string(recording) != draw(transcript.Lines) {
		t.Error("docs/recording.svg shows another transcript than README.md: run make recording, as root")
	}
}

// TestDraw reads the text of a drawing back.
func TestDraw(t *testing.T) {
	lines := []string{"$ echo '<&>'   # why", "<&>", "", "$ true"}
	decoder := xml.NewDecoder(strings.NewReader(draw(lines)))
	var shown []string
	inText := false
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if token.Name.Local == "text" {
				shown, inText = append(shown, ""), true
			}
		case xml.EndElement:
			inText = inText && token.Name.Local != "text"
		case xml.CharData:
			if inText {
				shown[len(shown)-1] += string(token)
			}
		}
	}
	if want := []string{lines[0], lines[1], lines[3]}; strings.Join(shown, "\n") != strings.Join(want, "\n") {
		t.Errorf("the text is %q, want %q", shown, want)
	}
}
