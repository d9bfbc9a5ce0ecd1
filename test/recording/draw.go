package main

import (
	"fmt"
	"html"
	"strings"
)

// Of the picture, in pixels.
const (
	charWidth  = 8.4 // at the size of the font, 14
	lineHeight = 20
	margin     = 16
)

// Of the recording, in seconds.
const (
	beforeKey  = 0.03 // a key is typed
	beforeEach = 0.6  // a command is typed
	answering  = 0.35 // a command prints something
	atEnd      = 6    // until it begins again
)

// style has the colors of a light and a dark page. Everything is visible where there are no
// animations, and for readers who do not want any.
const style = `svg{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
rect{fill:#f6f8fa;stroke:#d0d7de}text{fill:#57606a;white-space:pre}.c{fill:#1f2328;font-weight:600}.p{fill:#1a7f37}.n{fill:#6e7781;font-weight:400}
@media(prefers-color-scheme:dark){rect{fill:#161b22;stroke:#30363d}text{fill:#9198a1}.c{fill:#e6edf3}.p{fill:#3fb950}.n{fill:#8b949e}}
@media(prefers-reduced-motion:reduce){text{animation:none!important}}
`

// draw returns an SVG in which the lines of a transcript appear one after the other: commands as if
// somebody typed them.
func draw(lines []string) string {
	// A line is there from start to end of its appearance.
	type span struct{ start, end float64 }
	spans := make([]span, len(lines))
	now, columns := 0.0, 0
	for i, line := range lines {
		columns = max(columns, len(line))
		switch {
		case strings.HasPrefix(line, "$ "):
			typed, _, _ := strings.Cut(line, "   #")
			spans[i] = span{now + beforeEach, now + beforeEach + beforeKey*float64(len(typed))}
			now = spans[i].end + answering
		case line != "":
			spans[i] = span{now, now}
		}
	}
	total := now + atEnd
	var animations, text strings.Builder
	for i, line := range lines {
		if line == "" {
			continue
		}
		at := func(seconds float64) string { return fmt.Sprintf("%.2f%%", 100*seconds/total) }
		s := spans[i]
		const hidden, shown = "clip-path:inset(0 100% 0 0)", "clip-path:inset(0)"
		if s.start == s.end {
			fmt.Fprintf(&animations, "@keyframes l%d{0%%{%s;animation-timing-function:step-end}%s,to{%s}}", i, hidden, at(s.start), shown)
		} else {
			fmt.Fprintf(&animations, "@keyframes l%d{0%%,%s{%s;animation-timing-function:steps(%d)}%s,to{%s}}", i, at(s.start), hidden, len(line), at(s.end), shown)
		}
		fmt.Fprintf(&animations, "#l%d{animation:l%[1]d %.2fs infinite}\n", i, total)
		fmt.Fprintf(&text, "<text id=\"l%d\" x=\"%d\" y=\"%d\" textLength=\"%.1f\">%s</text>\n", i, margin, margin+14+i*lineHeight, charWidth*float64(len(line)), colored(line))
	}
	width, height := 2*margin+charWidth*float64(columns), 2*margin+lineHeight*len(lines)
	return fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %d\" width=\"%.0[1]f\" height=\"%[2]d\" role=\"img\" xml:space=\"preserve\">\n<title>%[3]s</title>\n<style>\n%[4]s%[5]s</style>\n<rect x=\".5\" y=\".5\" width=\"%.0[6]f\" height=\"%[7]d\" rx=\"8\"/>\n%[8]s</svg>\n",
		width, height, html.EscapeString(strings.Join(lines, "\n")), style, &animations, width-1, height-1, &text)
}

// colored returns a line of a transcript as the content of a text element.
func colored(line string) string {
	command, ok := strings.CutPrefix(line, "$ ")
	if !ok {
		return html.EscapeString(line)
	}
	command, comment, found := strings.Cut(command, "   #")
	colored := `<tspan class="p">$ </tspan><tspan class="c">` + html.EscapeString(command) + "</tspan>"
	if found {
		colored += `<tspan class="n">` + html.EscapeString("   #"+comment) + "</tspan>"
	}
	return colored
}
